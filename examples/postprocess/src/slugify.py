#!/usr/bin/env python3
import json
import re
import unicodedata

TRANSLITERATE = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ð": "d", "þ": "th", "ł": "l", "đ": "d", "&": " and "})

def slugify(title, max_length=60):
    s = title.lower().translate(TRANSLITERATE)
    s = unicodedata.normalize("NFKD", s)
    s = "".join(c for c in s if not unicodedata.combining(c))
    s = re.sub(r"['’]", "", s)
    s = re.sub(r"[^a-z0-9]+", "-", s).strip("-")
    if len(s) > max_length:
        s = s[:max_length].rsplit("-", 1)[0]
    return s or "untitled"

titles = json.load(open("/work/input.json", encoding="utf-8"))
used, slugs = {}, []
for title in titles:
    slug = slugify(title)
    n = used.get(slug, 0) + 1
    used[slug] = n
    slugs.append(slug if n == 1 else f"{slug}-{n}")

with open("/work/result.json", "w") as f:
    json.dump(dict(slugs=slugs, collisions=sum(n > 1 for n in used.values())), f)
