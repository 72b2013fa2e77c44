import json
import re
from collections import Counter, defaultdict

LOG_LINE = re.compile(
    r'(?P<ip>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] '
    r'"(?P<method>[A-Z]+) (?P<path>\S+)(?: HTTP/(?P<version>[\d.]+))?" '
    r'(?P<status>\d{3}) (?P<size>\d+|-)(?: "(?P<referer>[^"]*)" "(?P<agent>[^"]*)")?'
)

with open("/work/access.log", encoding="utf-8", errors="replace") as f:
    lines = f.readlines()

status_counts = Counter()
paths = Counter()
bytes_by_ip = defaultdict(int)
errors = []
malformed = 0

for number, line in enumerate(lines, start=1):
    m = LOG_LINE.match(line)
    if not m:
        malformed += 1
        continue
    status = int(m["status"])
    status_counts[f"{status // 100}xx"] += 1
    paths[m["path"].split("?")[0]] += 1
    if m["size"] != "-":
        bytes_by_ip[m["ip"]] += int(m["size"])
    if status >= 500:
        errors.append({"line": number, "path": m["path"], "status": status})

result = {
    "requests": sum(status_counts.values()),
    "malformed": malformed,
    "status": dict(sorted(status_counts.items())),
    # sort by count, then by name, so that ties are stable
    "top_paths": sorted(paths.items(), key=lambda kv: (-kv[1], kv[0]))[:3],
    "heaviest": sorted(bytes_by_ip.items(), key=lambda kv: (-kv[1], kv[0]))[:2],
    "errors": errors,
}
with open("/work/result.json", "w") as f:
    json.dump(result, f, indent=2)
