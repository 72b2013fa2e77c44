import json
from xml.sax.saxutils import escape

data = json.load(open("/work/input.json", encoding="utf-8"))
bar_height, gap, label_width, chart_width = 18, 6, 90, 240
rows = sorted(data["values"].items(), key=lambda kv: -kv[1])
peak = max(v for _, v in rows)

parts = []
y = 30
for label, value in rows:
    w = round(chart_width * value / peak, 1)
    parts.append(f'<text x="{label_width - 6}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
    parts.append(f'<rect x="{label_width}" y="{y}" width="{w}" height="{bar_height}" fill="#4a7"/>')
    parts.append(f'<text x="{label_width + w + 4}" y="{y + 13}">{value}</text>')
    y += bar_height + gap

svg = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{label_width + chart_width + 50}" height="{y}" font-family="sans-serif" font-size="12">'
    f'<text x="4" y="18" font-weight="bold">{escape(data["title"])}</text>' + "".join(parts) + "</svg>"
)
with open("/work/result.json", "w", encoding="utf-8") as f:
    json.dump({"svg": svg, "bars": len(rows)}, f, ensure_ascii=False)
