import json

def merge(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged

def minutes(hhmm):
    h, m = hhmm.split(":")
    return int(h) * 60 + int(m)

def clock(m):
    return f"{m // 60:02d}:{m % 60:02d}"

with open("/work/input.json") as f:
    data = json.load(f)

day = [minutes(t) for t in data["day"]]
busy = merge([[minutes(a), minutes(b)] for calendar in data["calendars"] for a, b in calendar])

# free slots are the gaps between busy blocks
free, cursor = [], day[0]
for start, end in busy:
    if start > cursor:
        free.append([cursor, min(start, day[1])])
    cursor = max(cursor, end)
if cursor < day[1]:
    free.append([cursor, day[1]])
free = [s for s in free if s[1] - s[0] >= data["meeting_minutes"]]

# how many people are busy at the same time, at most (sweep line)
events = sorted(e for c in data["calendars"] for a, b in c for e in ((minutes(a), 1), (minutes(b), -1)))
depth = peak = 0
for _, change in events:
    depth += change
    peak = max(peak, depth)

result = {
    "busy": [[clock(a), clock(b)] for a, b in busy],
    "slots": [[clock(a), clock(b)] for a, b in free],
    "peak_overlap": peak,
}
with open("/work/result.json", "w") as f:
    json.dump(result, f)
