import csv
import json

def convert(value):
    """Best-effort type conversion."""
    v = value.strip()
    if v == "" or v.lower() in ("null", "n/a", "na", "none", "-"):
        return None
    if v.lower() in ("true", "yes"):
        return True
    if v.lower() in ("false", "no"):
        return False
    try:
        # keep leading zeros: they are codes, not numbers
        if v.lstrip("-").isdigit() and not (len(v.lstrip("-")) > 1 and v.lstrip("-")[0] == "0"):
            return int(v)
        return float(v) if "." in v else v
    except ValueError:
        return v

rows = []
problems = []
with open("/work/data.csv", newline="", encoding="utf-8-sig") as f:
    sample = f.read(1024)
    f.seek(0)
    delimiter = max(",;\t|", key=sample.split("\n")[0].count)
    reader = csv.reader(f, delimiter=delimiter)
    header = [h.strip().lower().replace(" ", "_") for h in next(reader)]
    for line in reader:
        if not any(c.strip() for c in line):
            continue
        if len(line) != len(header):
            problems.append({"line": reader.line_num, "fields": len(line)})
            continue
        rows.append({h: convert(c) for h, c in zip(header, line)})

with open("/work/result.json", "w", encoding="utf-8") as out:
    json.dump({"delimiter": delimiter, "columns": header, "rows": rows, "problems": problems}, out, ensure_ascii=False)
print("rows:", len(rows))
