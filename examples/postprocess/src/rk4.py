"""Integrate a few standard differential equations with Runge-Kutta 4."""
import json
from math import exp

SYSTEMS = {
    "decay": lambda p: (lambda t, y: [-p["k"] * y[0]]),
    "logistic": lambda p: (lambda t, y: [p["r"] * y[0] * (1 - y[0] / p["K"])]),
    "oscillator": lambda p: (lambda t, y: [y[1], -p["omega"] ** 2 * y[0]]),
    "predator": lambda p: (lambda t, y: [p["a"] * y[0] - p["b"] * y[0] * y[1], p["d"] * y[0] * y[1] - p["c"] * y[1]]),
}


def step(f, t, y, h):
    k1 = f(t, y)
    k2 = f(t + h / 2, [a + h / 2 * b for a, b in zip(y, k1)])
    k3 = f(t + h / 2, [a + h / 2 * b for a, b in zip(y, k2)])
    k4 = f(t + h, [a + h * b for a, b in zip(y, k3)])
    return [a + h / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(y, k1, k2, k3, k4)]


cfg = json.load(open("/work/input.json"))
f = SYSTEMS[cfg["system"]](cfg["params"])
y, t = [float(v) for v in cfg["y0"]], 0.0
trace = []
for i in range(cfg["steps"] + 1):
    if i % cfg.get("every", 10) == 0:
        trace.append([round(t, 4)] + [round(v, 5) for v in y])
    y = step(f, t, y, cfg["h"])
    t += cfg["h"]

out = {"trace": trace}
if cfg["system"] == "decay":
    exact = cfg["y0"][0] * exp(-cfg["params"]["k"] * trace[-1][0])
    out["error_below"] = 1e-4 if abs(exact - trace[-1][1]) < 1e-4 else None
json.dump(out, open("/work/result.json", "w"))
