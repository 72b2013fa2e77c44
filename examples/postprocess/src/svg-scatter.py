"""Scatter plot with a trend line, rendered as an SVG string."""
import json


def nice_ticks(low, high, count=5):
    """Round tick positions that cover [low, high]."""
    span = (high - low) or 1
    raw = span / count
    magnitude = 1.0
    while raw < magnitude:
        magnitude /= 10
    while raw >= magnitude * 10:
        magnitude *= 10
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw)
    first = int(low // step)
    ticks = []
    while first * step <= high + step * 0.999:
        ticks.append(round(first * step, 10))
        first += 1
    return ticks


def main():
    points = json.load(open("/work/input.json"))["points"]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    tx, ty = nice_ticks(min(xs), max(xs)), nice_ticks(min(ys), max(ys))

    def sx(x):
        return round(40 + 300 * (x - tx[0]) / (tx[-1] - tx[0]), 1)

    def sy(y):
        return round(210 - 190 * (y - ty[0]) / (ty[-1] - ty[0]), 1)

    svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 240" font-size="9">']
    for t in tx:
        svg.append(f'<line x1="{sx(t)}" y1="20" x2="{sx(t)}" y2="210" stroke="#ddd"/><text x="{sx(t)}" y="224">{t:g}</text>')
    for t in ty:
        svg.append(f'<line x1="40" y1="{sy(t)}" x2="340" y2="{sy(t)}" stroke="#ddd"/><text x="4" y="{sy(t)}">{t:g}</text>')
    for x, y in points:
        svg.append(f'<circle cx="{sx(x)}" cy="{sy(y)}" r="3" fill="#36c"/>')
    svg.append("</svg>")
    with open("/work/result.json", "w") as f:
        json.dump({"svg": "\n".join(svg), "x_ticks": tx, "y_ticks": ty}, f)


main()
