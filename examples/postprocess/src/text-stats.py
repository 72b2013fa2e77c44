import json
import re
from collections import Counter

STOPWORDS = set("a an and are as at be by for from has he in is it its of on that the to was were will with this but they have had".split())

with open("/work/input.json", encoding="utf-8") as f:
    text = json.load(f)["text"]

words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())
sentences = [s for s in re.split(r"(?<=[.!?])\s+", text.strip()) if s]
paragraphs = [p for p in re.split(r"\n\s*\n", text.strip()) if p]


def syllables(word):
    groups = re.findall(r"[aeiouy]+", word)
    n = len(groups)
    if word.endswith("e") and n > 1:
        n -= 1
    return max(n, 1)


keywords = Counter(w for w in words if w not in STOPWORDS and len(w) > 2)
if words and sentences:
    flesch = 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * sum(map(syllables, words)) / len(words)
    flesch = round(flesch, 1)
else:
    flesch = None

result = {
    "characters": len(text),
    "words": len(words),
    "unique": len(set(words)),
    "sentences": len(sentences),
    "paragraphs": len(paragraphs),
    "longest": max(sorted(set(words)), key=len) if words else None,
    "keywords": sorted(keywords.items(), key=lambda kv: (-kv[1], kv[0]))[:5],
    "flesch": flesch,
}
print(json.dumps(result, ensure_ascii=False, indent=2))
with open("/work/result.json", "w", encoding="utf-8") as f:
    json.dump(result, f, ensure_ascii=False)
