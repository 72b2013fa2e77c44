# Split European one-line addresses into fields.
# Supported: Germany (DE), France (FR), United Kingdom (GB), Netherlands (NL)

import json, re

PATTERNS = [
    ("GB", re.compile(r"^(?P<street>.+?),\s*(?P<city>[A-Za-z .'-]+?),?\s+(?P<postcode>[A-Z]{1,2}\d[A-Z\d]?\s*\d[A-Z]{2})$", re.I)),
    ("NL", re.compile(r"^(?P<street>.+?),\s*(?P<postcode>\d{4}\s?[A-Z]{2})\s+(?P<city>.+)$")),
    ("DE", re.compile(r"^(?P<street>.*(?:str(?:\.|aße|asse)|weg|platz|allee|gasse)\s*\d+\s?[a-z]?),?\s*(?:D-)?(?P<postcode>\d{5})\s+(?P<city>.+)$", re.I)),
    ("FR", re.compile(r"^(?P<street>\d+(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|av\.|boulevard|bd|place|quai)\s.+?),\s*(?P<postcode>\d{5})\s+(?P<city>.+)$", re.I)),
]

def tidy(country, f):
    f = {k: " ".join(v.split()) for k, v in f.items()}
    if country == "GB":
        pc = f["postcode"].upper().replace(" ", "")
        f["postcode"] = pc[:-3] + " " + pc[-3:]
    if country == "NL":
        pc = f["postcode"].replace(" ", "")
        f["postcode"] = pc[:4] + " " + pc[4:]
    if country == "DE":
        f["street"] = re.sub(r"str(?:\.|asse)(?=\s*\d)", "straße", f["street"])
        f["street"] = re.sub(r"Str(?:\.|asse)(?=\s*\d)", "Straße", f["street"])
    f["country"] = country
    return f

def parse(line):
    for country, pattern in PATTERNS:
        m = pattern.match(line.strip())
        if m:
            return tidy(country, m.groupdict())
    return {"country": None, "raw": line}

payload = json.load(open("/work/input.json", encoding="utf-8"))
parsed = [parse(x) for x in payload["addresses"]]
print(f"{sum(p['country'] is not None for p in parsed)} of {len(parsed)} recognised")
json.dump({"addresses": parsed}, open("/work/result.json", "w", encoding="utf-8"), ensure_ascii=False)
