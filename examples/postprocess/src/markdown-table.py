import json
import re
import unicodedata


def width(s):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in s)


def pad(s, n, align):
    space = n - width(s)
    if align == "right":
        return " " * space + s
    if align == "center":
        return " " * (space // 2) + s + " " * (space - space // 2)
    return s + " " * space


def parse(markdown):
    lines = [l.strip() for l in markdown.strip().splitlines()]
    split = lambda l: [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", l.strip("|"))]
    header = split(lines[0])
    aligns = []
    for c in split(lines[1]):
        aligns.append("center" if c.startswith(":") and c.endswith(":") else "right" if c.endswith(":") else "left")
    return header, aligns, [split(l) for l in lines[2:]]


def render(header, aligns, rows):
    escape = lambda c: c.replace("|", "\\|")
    table = [[escape(c) for c in r] for r in [header] + rows]
    widths = [max(3, *(width(r[i]) for r in table)) for i in range(len(header))]
    rule = {"left": lambda n: "-" * n, "right": lambda n: "-" * (n - 1) + ":", "center": lambda n: ":" + "-" * (n - 2) + ":"}
    out = ["| " + " | ".join(pad(c, n, a) for c, n, a in zip(r, widths, aligns)) + " |" for r in table]
    out.insert(1, "| " + " | ".join(rule[a](n) for a, n in zip(aligns, widths)) + " |")
    return "\n".join(out)


doc = json.load(open("/work/input.json", encoding="utf-8"))
header, aligns, rows = parse(doc["markdown"])
result = {"rows": [dict(zip(header, r)) for r in rows], "pretty": render(header, aligns, rows)}
print(result["pretty"])
json.dump(result, open("/work/result.json", "w", encoding="utf-8"), ensure_ascii=False)
