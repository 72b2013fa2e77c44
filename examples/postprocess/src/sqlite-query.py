import json
import sqlite3

spec = json.load(open("/work/input.json"))

conn = sqlite3.connect(":memory:")
conn.row_factory = sqlite3.Row
cur = conn.cursor()

for table, rows in spec["tables"].items():
    columns = list(rows[0])
    cur.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    cur.executemany(
        f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})",
        [tuple(r.get(c) for c in columns) for r in rows],
    )
conn.commit()

try:
    rows = [dict(r) for r in cur.execute(spec["query"], spec.get("params", []))]
    result = {"ok": True, "rows": rows}
except sqlite3.Error as e:
    result = {"ok": False, "kind": type(e).__name__}
    print("query failed:", e)
finally:
    conn.close()

with open("/work/result.json", "w") as f:
    json.dump(result, f)
