import json
import re

# everything in SI base units
FACTORS = {
    "length": {"mm": 0.001, "cm": 0.01, "m": 1, "km": 1000, "in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344, "nmi": 1852},
    "mass": {"mg": 1e-6, "g": 0.001, "kg": 1, "t": 1000, "oz": 0.028349523125, "lb": 0.45359237, "st": 6.35029318},
    "volume": {"ml": 0.001, "cl": 0.01, "l": 1, "m3": 1000, "gal": 3.785411784, "pt": 0.473176473, "cup": 0.2365882365},
    "data": {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30},
    "time": {"s": 1, "min": 60, "h": 3600, "d": 86400},
}
ALIASES = {"inch": "in", "inches": "in", "feet": "ft", "foot": "ft", "miles": "mi", "mile": "mi", "pounds": "lb", "lbs": "lb",
           "litre": "l", "liters": "l", "liter": "l", "kilos": "kg", "hours": "h", "days": "d"}


def temperature(value, src, dst):
    celsius = {"c": value, "f": (value - 32) * 5 / 9, "k": value - 273.15}[src]
    return {"c": celsius, "f": celsius * 9 / 5 + 32, "k": celsius + 273.15}[dst]


def convert(value, src, dst):
    src, dst = (ALIASES.get(u.lower(), u.lower()) for u in (src, dst))
    if src in "cfk" and dst in "cfk":
        return temperature(value, src, dst)
    for units in FACTORS.values():
        if src in units and dst in units:
            return value * units[src] / units[dst]
    raise ValueError(f"cannot convert {src} to {dst}")


results = []
for question in json.load(open("/work/input.json")):
    m = re.fullmatch(r"\s*(-?[\d.,]+)\s*°?([a-zA-Z0-9]+)\s+(?:to|in|as)\s+°?([a-zA-Z0-9]+)\s*\??", question)
    if not m:
        results.append({"question": question, "error": "not understood"})
        continue
    try:
        value = convert(float(m[1].replace(",", "")), m[2], m[3])
        results.append({"question": question, "value": float(f"{value:.6g}"), "unit": m[3]})
    except ValueError as e:
        results.append({"question": question, "error": str(e)})

with open("/work/result.json", "w") as f:
    json.dump(results, f)
