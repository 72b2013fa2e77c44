import json
from itertools import groupby
from operator import itemgetter
from statistics import median

with open("/work/input.json") as f:
    request = json.load(f)

rows, keys, measure = request["rows"], request["group_by"], request["measure"]

key = itemgetter(*keys) if len(keys) > 1 else (lambda r: (r[keys[0]],))
report = []
for group, members in groupby(sorted(rows, key=key), key=key):
    values = [m[measure] for m in members if m.get(measure) is not None]
    entry = dict(zip(keys, group))
    entry.update(
        count=len(values),
        total=round(sum(values), 2),
        mean=round(sum(values) / len(values), 2) if values else None,
        median=median(values) if values else None,
        min=min(values, default=None),
        max=max(values, default=None),
    )
    report.append(entry)

having = request.get("min_count", 0)
report = [r for r in report if r["count"] >= having]
report.sort(key=lambda r: (-r["total"], [str(r[k]) for k in keys]))

with open("/work/result.json", "w") as f:
    json.dump(report, f, indent=2)
