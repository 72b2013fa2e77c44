package bench

// The item that every subject runs: what a language model writes to post-process
// a record, with the usual imports.
const itemCode = `import csv, datetime, decimal, io, json, re, statistics
from collections import Counter

data = json.load(open("/work/input.json"))
rows = list(csv.DictReader(io.StringIO(data["csv"])))
amounts = [decimal.Decimal(r["amount"]) for r in rows]
days = [datetime.date.fromisoformat(r["day"]).strftime("%a") for r in rows]
mails = re.findall(r"[\w.]+@[\w.]+", data["text"])
json.dump({
    "sum": str(sum(amounts)),
    "median": str(statistics.median(amounts)),
    "days": Counter(days),
    "mails": mails,
}, open("/work/result.json", "w"))
`

const itemInput = `{"csv":"day,amount\n2026-01-05,10.50\n2026-01-06,4.25\n2026-01-12,7.00\n","text":"mail a.b@example.org or c@example.com"}`

const itemResult = `{"sum": "21.75", "median": "7.00", "days": {"Mon": 2, "Tue": 1}, "mails": ["a.b@example.org", "c@example.com"]}`
