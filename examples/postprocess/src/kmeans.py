import json
import math
import random

def kmeans(points, k, seed, max_rounds=50):
    rng = random.Random(seed)
    centers = rng.sample(points, k)
    labels = None
    for rounds in range(1, max_rounds + 1):
        new = [min(range(k), key=lambda c: math.dist(p, centers[c])) for p in points]
        if new == labels:
            break
        labels = new
        for c in range(k):
            members = [p for p, l in zip(points, labels) if l == c]
            if members:
                centers[c] = [math.fsum(axis) / len(members) for axis in zip(*members)]
    return centers, labels, rounds

data = json.load(open("/work/input.json"))
centers, labels, rounds = kmeans(data["points"], data["k"], data.get("seed", 0))

# number the clusters by their centers, so that the answer doesn't depend on chance
order = sorted(range(len(centers)), key=lambda c: centers[c])
rank = {c: i for i, c in enumerate(order)}
result = {
    "labels": [rank[l] for l in labels],
    "centers": [[round(v, 3) for v in centers[c]] for c in order],
    "inertia": round(math.fsum(math.dist(p, centers[l]) ** 2 for p, l in zip(data["points"], labels)), 3),
}
json.dump(result, open("/work/result.json", "w"))
print("converged after", rounds, "rounds")
