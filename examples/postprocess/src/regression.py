# Ordinary least squares with R^2, without numpy
import json
import math

data = json.load(open("/work/input.json"))
points = [(float(x), float(y)) for x, y in data["points"]]
n = len(points)

mean_x = math.fsum(x for x, _ in points) / n
mean_y = math.fsum(y for _, y in points) / n
sxx = math.fsum((x - mean_x) ** 2 for x, _ in points)
sxy = math.fsum((x - mean_x) * (y - mean_y) for x, y in points)
syy = math.fsum((y - mean_y) ** 2 for _, y in points)

if sxx == 0:
    result = {"error": "all x are equal"}
else:
    slope = sxy / sxx
    intercept = mean_y - slope * mean_x
    residuals = [y - (slope * x + intercept) for x, y in points]
    ss_res = math.fsum(r * r for r in residuals)
    result = {
        "slope": round(slope, 6),
        "intercept": round(intercept, 6),
        "r2": round(1 - ss_res / syy, 6) if syy else 1.0,
        "predictions": [round(slope * x + intercept, 4) for x in data.get("predict", [])],
        "worst": max(range(n), key=lambda i: abs(residuals[i])),
    }

print(result)
with open("/work/result.json", "w") as out:
    out.write(json.dumps(result))
