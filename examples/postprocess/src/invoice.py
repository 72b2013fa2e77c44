import json
import re
from decimal import Decimal

# Load the invoice text
with open("/work/input.json", encoding="utf-8") as f:
    text = json.load(f)["text"]


def parse_amount(raw):
    """'1.234,50', '1,234.50' and '1234.5' are all the same kind of number."""
    raw = re.sub(r"[^\d.,-]", "", raw)
    if re.search(r",\d{1,2}$", raw):
        raw = raw.replace(".", "").replace(",", ".")
    else:
        raw = raw.replace(",", "")
    return Decimal(raw)


def find(pattern):
    match = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
    return match.group(1).strip() if match else None


AMOUNT = r"([€$£]?\s*[\d.,]+(?:\s*(?:EUR|USD|GBP))?)"

number = find(r"(?:invoice|rechnung|facture|inv\.?)\s*(?:no\.?|nr\.?|number|n°|#)?\s*[:#]?\s*([A-Z]{0,4}-?\d[\w/-]*)")
date = find(r"(?:date|datum|issued)\s*(?:on)?\s*[:\-]?\s*(\d{1,4}[./-]\d{1,2}[./-]\d{2,4})")
vendor = find(r"(?:from|vendor|seller|verkäufer)\s*:\s*(.+)$")
total = find(r"^\W*(?:grand total|total due|amount due|gesamtbetrag|total)\s*:?\s*" + AMOUNT)
tax = find(r"^\W*(?:vat|tax|mwst|tva)[^\n:]*:\s*" + AMOUNT)

currency = None
for symbol, code in (("€", "EUR"), ("EUR", "EUR"), ("£", "GBP"), ("GBP", "GBP"), ("$", "USD"), ("USD", "USD")):
    if symbol in text:
        currency = code
        break

# Line items look like:  2 x Widget @ 9.99   or   Widget   2   9.99
items = []
for line in text.splitlines():
    m = re.match(r"^\s*(\d+)\s*[x×]\s+(.+?)\s+(?:@|à|at)\s*(.+)$", line)
    if m:
        quantity, name, price = int(m.group(1)), m.group(2), parse_amount(m.group(3))
        items.append({"name": name, "quantity": quantity, "unit_price": str(price), "amount": str(price * quantity)})

result = {
    "invoice_number": number,
    "date": date,
    "vendor": vendor,
    "currency": currency,
    "items": items,
    "tax": str(parse_amount(tax)) if tax else None,
    "total": str(parse_amount(total)) if total else None,
}
result["items_match_total"] = None
if items and total:
    s = sum(Decimal(i["amount"]) for i in items) + (parse_amount(tax) if tax else 0)
    result["items_match_total"] = s == parse_amount(total)

print("parsed invoice", number)
with open("/work/result.json", "w") as f:
    json.dump(result, f, indent=2)
