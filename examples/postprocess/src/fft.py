import cmath
import json


def fft(x):
    """Recursive radix-2 Cooley-Tukey."""
    n = len(x)
    if n == 1:
        return x
    even, odd = fft(x[0::2]), fft(x[1::2])
    out = [0j] * n
    for k in range(n // 2):
        t = cmath.exp(-2j * cmath.pi * k / n) * odd[k]
        out[k] = even[k] + t
        out[k + n // 2] = even[k] - t
    return out


job = json.load(open("/work/input.json"))
rate = job["sample_rate"]
n = job["samples"]
assert n & (n - 1) == 0, "the number of samples must be a power of two"

# synthesise the signal
signal = []
for i in range(n):
    t = i / rate
    signal.append(sum(a * cmath.sin(2 * cmath.pi * f * t).real for f, a in job["tones"]))

spectrum = fft([complex(s) for s in signal])
magnitude = [abs(c) * 2 / n for c in spectrum[: n // 2]]
peaks = []
for k in range(1, n // 2 - 1):
    if magnitude[k] > 0.1 and magnitude[k] >= magnitude[k - 1] and magnitude[k] >= magnitude[k + 1]:
        peaks.append({"hz": round(k * rate / n, 3), "amplitude": round(magnitude[k], 3)})

with open("/work/result.json", "w") as f:
    json.dump({"peaks": peaks, "bin_hz": round(rate / n, 6)}, f)
