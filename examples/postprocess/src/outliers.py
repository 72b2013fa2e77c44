import json
from statistics import mean, median, pstdev

cfg = json.load(open('/work/input.json'))
series = cfg['series']
window = cfg.get('window', 3)

# Step 1: moving average
averages = []
for i in range(len(series)):
    chunk = series[max(0, i - window + 1): i + 1]
    averages.append(round(mean(chunk), 3))

# Step 2: robust outlier detection with the median absolute deviation
m = median(series)
mad = median(abs(x - m) for x in series)
outliers = []
for i, x in enumerate(series):
    score = 0.6745 * (x - m) / mad if mad else 0
    if abs(score) > cfg.get('threshold', 3.5):
        outliers.append({'index': i, 'value': x, 'score': round(score, 2)})

# Step 3: fill the outliers by linear interpolation
bad = {o['index'] for o in outliers}
good = [i for i in range(len(series)) if i not in bad]
cleaned = list(series)
for i in sorted(bad):
    left = max((g for g in good if g < i), default=None)
    right = min((g for g in good if g > i), default=None)
    if left is None or right is None:
        cleaned[i] = series[right if left is None else left]
    else:
        t = (i - left) / (right - left)
        cleaned[i] = round(series[left] * (1 - t) + series[right] * t, 3)

json.dump({
    'moving_average': averages,
    'outliers': outliers,
    'cleaned': cleaned,
    'stdev_before': round(pstdev(series), 3),
    'stdev_after': round(pstdev(cleaned), 3),
}, open('/work/result.json', 'w'))
