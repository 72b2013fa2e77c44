# Sessionise click events (30 minutes of silence ends a session) and build a funnel
import json
from collections import defaultdict
from datetime import datetime, timedelta

with open("/work/input.json") as f:
    cfg = json.load(f)

gap = timedelta(minutes=cfg.get("gap_minutes", 30))
by_user = defaultdict(list)
for line in cfg["events"]:
    stamp, user, action = line.split()
    by_user[user].append((datetime.fromisoformat(stamp), action))

sessions = []
for user in sorted(by_user):
    current = None
    for when, action in sorted(by_user[user]):
        if current is None or when - current["end"] > gap:
            current = {"user": user, "start": when, "end": when, "actions": []}
            sessions.append(current)
        current["end"] = when
        current["actions"].append(action)

funnel = []
for depth, step in enumerate(cfg["funnel"], 1):
    wanted = cfg["funnel"][:depth]
    reached = 0
    for s in sessions:
        it = iter(s["actions"])
        reached += all(any(a == w for a in it) for w in wanted)  # in this order
    funnel.append({"step": step, "sessions": reached})

for s in sessions:
    s["seconds"] = int((s["end"] - s["start"]).total_seconds())
    s["start"], s["end"] = s["start"].isoformat(), s["end"].isoformat()

with open("/work/result.json", "w") as f:
    json.dump({"sessions": sessions, "funnel": funnel}, f)
