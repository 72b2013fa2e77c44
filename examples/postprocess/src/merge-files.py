"""Merge all monthly CSV files in /work/data into one summary."""
import csv
import json
from decimal import Decimal
from pathlib import Path

totals: dict[str, Decimal] = {}
per_file = []
for path in sorted(Path("/work/data").glob("*.csv")):
    with path.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    amount = Decimal("0")
    for row in rows:
        value = Decimal(row["amount"].replace(" ", "") or "0")
        totals[row["category"]] = totals.get(row["category"], Decimal("0")) + value
        amount += value
    per_file.append({"file": path.name, "rows": len(rows), "amount": str(amount)})

out = Path("/work/merged")
out.mkdir()
with (out / "totals.csv").open("w", newline="") as f:
    w = csv.writer(f)
    w.writerow(["category", "amount"])
    w.writerows(sorted(totals.items()))

json.dump(
    {"files": per_file, "totals": {k: str(v) for k, v in sorted(totals.items())}},
    open("/work/result.json", "w"),
)
