import json
import math

with open("/work/input.json") as f:
    data = json.load(f)

values = sorted(v for v in data["values"] if isinstance(v, (int, float)) and not isinstance(v, bool))
n = len(values)
if n == 0:
    json.dump({"bins": [], "n": 0}, open("/work/result.json", "w"))
    raise SystemExit

# Freedman-Diaconis is unstable for tiny samples, so use Sturges there
if data.get("bins"):
    k = data["bins"]
else:
    k = math.ceil(math.log2(n)) + 1

lo, hi = values[0], values[-1]
width = (hi - lo) / k or 1
counts = [0] * k
for v in values:
    counts[min(int((v - lo) / width), k - 1)] += 1

def quantile(q):
    pos = (n - 1) * q
    i = int(pos)
    frac = pos - i
    return values[i] if frac == 0 else values[i] * (1 - frac) + values[i + 1] * frac

for i, c in enumerate(counts):
    print(f"{lo + i * width:10.2f} | {'#' * c}")

json.dump({
    "n": n,
    "bins": [{"from": round(lo + i * width, 4), "to": round(lo + (i + 1) * width, 4), "count": c} for i, c in enumerate(counts)],
    "quartiles": [round(quantile(q), 4) for q in (0.25, 0.5, 0.75)],
}, open("/work/result.json", "w"))
