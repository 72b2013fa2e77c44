# Find failed SSH logins and decide which addresses to block
import json
import re

data = json.loads(open("/work/input.json").read())
threshold = data.get("threshold", 3)

failed = re.compile(r"Failed password for (invalid user )?(?P<user>\S+) from (?P<ip>[\da-f.:]+) port (?P<port>\d+)")
accepted = re.compile(r"Accepted (?P<how>\w+) for (?P<user>\S+) from (?P<ip>[\da-f.:]+)")
repeated = re.compile(r"message repeated (\d+) times: \[ (.*)\]")

attempts = {}
logins = []
for line in data["log"].split("\n"):
    times = 1
    r = repeated.search(line)
    if r:
        times = int(r.group(1))
        line = r.group(2)
    m = failed.search(line)
    if m:
        entry = attempts.setdefault(m.group("ip"), {"count": 0, "users": set()})
        entry["count"] += times
        entry["users"].add(m.group("user"))
        continue
    m = accepted.search(line)
    if m:
        logins.append({"user": m.group("user"), "ip": m.group("ip"), "how": m.group("how")})

block = sorted(ip for ip, e in attempts.items() if e["count"] >= threshold)
# a successful login after failures is worth a look
suspicious = [l for l in logins if l["ip"] in attempts]

json.dump(
    {
        "attempts": {ip: {"count": e["count"], "users": sorted(e["users"])} for ip, e in sorted(attempts.items())},
        "block": block,
        "logins": logins,
        "suspicious": suspicious,
    },
    open("/work/result.json", "w"),
    indent=4,
)
