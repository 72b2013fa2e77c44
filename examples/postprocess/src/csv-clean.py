#!/usr/bin/env python3
"""
Clean a messy CSV export:
  * trim whitespace and collapse inner runs of it
  * drop empty and repeated rows
  * normalise column names
  * fill down merged cells
"""
import csv
import json
import re

def snake(name: str) -> str:
    name = re.sub(r"[^0-9A-Za-z]+", "_", name.strip()).strip("_").lower()
    return name or "column"

def unique(names):
    seen = {}
    for n in names:
        seen[n] = seen.get(n, 0) + 1
        yield n if seen[n] == 1 else f"{n}_{seen[n]}"

with open("/work/input.json") as f:
    options = json.load(f)

with open("/work/export.csv", newline="") as f:
    raw = [[re.sub(r"\s+", " ", c).strip() for c in row] for row in csv.reader(f)]

raw = [r for r in raw if any(r)]
header = list(unique(snake(h) for h in raw[0]))
fill = set(options.get("fill_down", []))

cleaned, seen, dropped = [], set(), 0
previous = {}
for row in raw[1:]:
    row += [""] * (len(header) - len(row))
    record = dict(zip(header, row))
    for column in fill:
        if not record[column]:
            record[column] = previous.get(column, "")
    previous = record
    key = tuple(record.values())
    if key in seen:
        dropped += 1
        continue
    seen.add(key)
    cleaned.append(record)

with open("/work/out.csv", "w", newline="") as f:
    writer = csv.DictWriter(f, fieldnames=header)
    writer.writeheader()
    writer.writerows(cleaned)

with open("/work/result.json", "w") as f:
    json.dump({"header": header, "kept": len(cleaned), "dropped": dropped, "csv": open("/work/out.csv", newline="").read()}, f)
