import json
from decimal import Decimal, ROUND_HALF_EVEN, ROUND_HALF_UP, getcontext

getcontext().prec = 28
PLACES = {"JPY": 0, "KWD": 3}


def quantum(currency):
    return Decimal(1).scaleb(-PLACES.get(currency, 2))


def split(amount, parts, currency):
    """Split without losing a cent: the first parts get the remainder."""
    q = quantum(currency)
    units = int(amount / q)
    base, extra = divmod(units, parts)
    return [(base + (1 if i < extra else 0)) * q for i in range(parts)]


order = json.load(open("/work/input.json"), parse_float=Decimal)
cur = order["currency"]
rounding = ROUND_HALF_EVEN if order.get("bankers") else ROUND_HALF_UP

net = Decimal(0)
lines = []
for line in order["lines"]:
    amount = (Decimal(line["price"]) * line["qty"]).quantize(quantum(cur), rounding)
    lines.append(str(amount))
    net += amount

discount = (net * Decimal(order.get("discount_percent", 0)) / 100).quantize(quantum(cur), rounding)
tax = ((net - discount) * Decimal(order["tax_percent"]) / 100).quantize(quantum(cur), rounding)
gross = net - discount + tax
shares = split(gross, order.get("split", 1), cur)
assert sum(shares) == gross

result = dict(lines=lines, net=str(net), discount=str(discount), tax=str(tax), gross=str(gross), shares=[str(s) for s in shares])
if "rate" in order:
    target = order["convert_to"]
    result["converted"] = {"currency": target, "amount": str((gross * Decimal(order["rate"])).quantize(quantum(target), rounding))}
json.dump(result, open("/work/result.json", "w"))
