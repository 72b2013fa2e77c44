import csv
import io
import json
from collections import defaultdict


def pivot(rows, index, column, value):
    table = defaultdict(lambda: defaultdict(float))
    columns = set()
    for row in rows:
        table[row[index]][row[column]] += float(row[value])
        columns.add(row[column])
    columns = sorted(columns)
    out = []
    for key in sorted(table):
        cells = [round(table[key].get(c, 0.0), 2) for c in columns]
        out.append({index: key, **dict(zip(columns, cells)), "total": round(sum(cells), 2)})
    return columns, out


if __name__ == "__main__":
    spec = json.load(open("/work/input.json"))
    rows = list(csv.DictReader(io.StringIO(spec["tsv"]), delimiter="\t"))
    columns, table = pivot(rows, spec["index"], spec["column"], spec["value"])

    # TSV for people, JSON for machines
    print("\t".join([spec["index"], *columns, "total"]))
    for r in table:
        print("\t".join(str(v) for v in r.values()))
    json.dump(table, open("/work/result.json", "w"))
