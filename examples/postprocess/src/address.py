import json
import re

SUFFIXES = {
    "street": "St", "st": "St", "avenue": "Ave", "ave": "Ave", "av": "Ave",
    "boulevard": "Blvd", "blvd": "Blvd", "road": "Rd", "rd": "Rd", "drive": "Dr", "dr": "Dr",
    "lane": "Ln", "ln": "Ln", "court": "Ct", "ct": "Ct", "place": "Pl", "pl": "Pl",
}
DIRECTIONS = {"north": "N", "south": "S", "east": "E", "west": "W", "n": "N", "s": "S", "e": "E", "w": "W"}
STATES = {"california": "CA", "new york": "NY", "texas": "TX", "illinois": "IL", "washington": "WA", "oregon": "OR", "massachusetts": "MA"}
UNIT = re.compile(r"\b(?:apt|apartment|unit|suite|ste|#)\.?\s*#?\s*([\w-]+)\s*$", re.I)


def normalize(address):
    address = re.sub(r"\s+", " ", address.replace("\n", ", ")).strip(" ,")
    zip_match = re.search(r"\b(\d{5})(?:-(\d{4}))?$", address)
    zip_code = None
    if zip_match:
        zip_code = zip_match.group(0)
        address = address[: zip_match.start()].strip(" ,")

    state = None
    for name, code in STATES.items():
        m = re.search(r"[ ,]+(?:%s|%s)\.?$" % (name, code), address, re.I)
        if m:
            state = code
            address = address[: m.start()].strip(" ,")
            break

    parts = [p.strip() for p in address.split(",") if p.strip()]
    city = parts.pop().title() if len(parts) > 1 else None

    unit = None
    street = " ".join(parts)
    m = UNIT.search(street)
    if m:
        unit = m.group(1).upper()
        street = street[: m.start()].strip(" ,")

    words = []
    for word in street.split():
        key = word.lower().rstrip(".")
        if key in DIRECTIONS:
            words.append(DIRECTIONS[key])
        elif key in SUFFIXES and words:
            words.append(SUFFIXES[key])
        else:
            words.append(word if re.match(r"^\d", word) else word.capitalize())
    return {"street": " ".join(words), "unit": unit, "city": city, "state": state, "zip": zip_code}


with open("/work/input.json") as f:
    addresses = json.load(f)

results = []
for a in addresses:
    n = normalize(a)
    n["complete"] = all(n[k] for k in ("street", "city", "state", "zip"))
    results.append(n)

with open("/work/result.json", "w") as f:
    json.dump(results, f)
