"""Normalise phone numbers to E.164."""
import json
import re

COUNTRY_CODES = {"US": "1", "DE": "49", "FR": "33", "GB": "44", "IN": "91"}
TRUNK_PREFIX = {"DE": "0", "FR": "0", "GB": "0", "IN": "0", "US": "1"}
LENGTHS = {"US": (10, 10), "DE": (6, 12), "FR": (9, 9), "GB": (9, 10), "IN": (10, 10)}


def to_e164(raw, default_country):
    extension = None
    m = re.search(r"(?:ext\.?|x|extension)\s*(\d+)\s*$", raw, re.I)
    if m:
        extension = m.group(1)
        raw = raw[: m.start()]
    digits = re.sub(r"[^\d+]", "", raw.replace("(0)", ""))
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if digits.startswith("+"):
        for country, code in sorted(COUNTRY_CODES.items()):
            if digits.startswith("+" + code):
                national = digits[1 + len(code):]
                break
        else:
            return {"valid": False, "reason": "unknown country code"}
    else:
        country = default_country
        national = digits
        trunk = TRUNK_PREFIX[country]
        lo, hi = LENGTHS[country]
        if national.startswith(trunk) and len(national) > lo:
            national = national[len(trunk):]
    lo, hi = LENGTHS[country]
    if not lo <= len(national) <= hi:
        return {"valid": False, "reason": f"{len(national)} digits, expected {lo}-{hi}"}
    out = {"valid": True, "country": country, "e164": "+" + COUNTRY_CODES[country] + national}
    if extension:
        out["extension"] = extension
    return out


def main():
    with open("/work/input.json") as fh:
        job = json.load(fh)
    results = {}
    for number in job["numbers"]:
        results[number] = to_e164(number, job.get("default_country", "US"))
    with open("/work/result.json", "w") as fh:
        json.dump(results, fh, indent=1)


main()
