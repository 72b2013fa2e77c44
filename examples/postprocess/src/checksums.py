import hashlib
import json
import re

def luhn(number):
    digits = [int(d) for d in number]
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd) + sum(sum(divmod(2 * d, 10)) for d in even)) % 10 == 0

def iban(value):
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}", value):
        return False
    rearranged = value[4:] + value[:4]
    return int("".join(str(int(c, 36)) for c in rearranged)) % 97 == 1

def isbn(value):
    if len(value) == 10 and re.fullmatch(r"\d{9}[\dX]", value):
        return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(value)) % 11 == 0
    if len(value) == 13 and value.isdigit():
        return sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(value)) % 10 == 0
    return False

def ean8(value):
    return len(value) == 8 and value.isdigit() and sum(int(c) * (1 if i % 2 else 3) for i, c in enumerate(value)) % 10 == 0

CHECKS = {"card": luhn, "iban": iban, "isbn": isbn, "ean8": ean8}

results = []
for entry in json.load(open("/work/input.json")):
    value = re.sub(r"[\s-]", "", entry["value"]).upper()
    try:
        valid = CHECKS[entry["kind"]](value)
    except (KeyError, ValueError, IndexError):
        valid = False
    masked = "*" * max(0, len(value) - 4) + value[-4:]
    results.append({"kind": entry["kind"], "masked": masked, "valid": valid, "sha256": hashlib.sha256(value.encode()).hexdigest()[:16]})

json.dump(results, open("/work/result.json", "w"))
