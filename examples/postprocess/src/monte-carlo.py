import json
import random
import statistics

with open("/work/input.json") as f:
    cfg = json.load(f)

rng = random.Random(cfg["seed"])


def estimate_pi(n):
    inside = 0
    for _ in range(n):
        x, y = rng.random(), rng.random()
        if x * x + y * y <= 1.0:
            inside += 1
    return 4 * inside / n


def simulate_dice(n):
    totals = [rng.randint(1, 6) + rng.randint(1, 6) for _ in range(n)]
    return {"mean": round(statistics.fmean(totals), 3), "sevens": totals.count(7)}


def ruin(start, goal, p, n):
    """Gambler's ruin: how often is everything lost before the goal?"""
    lost = 0
    for _ in range(n):
        money = start
        while 0 < money < goal:
            money += 1 if rng.random() < p else -1
        lost += money == 0
    return lost / n


n = cfg["samples"]
if cfg["kind"] == "pi":
    result = {"pi": round(estimate_pi(n), 6)}
elif cfg["kind"] == "dice":
    result = simulate_dice(n)
else:
    result = {"ruin": round(ruin(cfg["start"], cfg["goal"], cfg["p"], n), 4)}

result["seed"] = cfg["seed"]
with open("/work/result.json", "w") as f:
    json.dump(result, f)
