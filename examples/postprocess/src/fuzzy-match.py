import json
import re
import unicodedata
from difflib import SequenceMatcher


def norm(s):
    s = unicodedata.normalize("NFKD", s).encode("ascii", "ignore").decode()
    s = re.sub(r"\b(inc|ltd|llc|gmbh|corp|corporation|co|company|the)\b\.?", "", s.lower())
    return " ".join(sorted(re.findall(r"[a-z0-9]+", s)))


def similarity(a, b):
    return SequenceMatcher(None, norm(a), norm(b), autojunk=False).ratio()


job = json.load(open("/work/input.json"))
threshold = job.get("threshold", 0.8)

matches = []
for name in job["names"]:
    scored = sorted(((similarity(name, c), c) for c in job["catalogue"]), key=lambda t: (-t[0], t[1]))
    score, best = scored[0]
    matches.append({
        "name": name,
        "match": best if score >= threshold else None,
        "score": round(score, 3),
    })

json.dump(matches, open("/work/result.json", "w"), ensure_ascii=False)
