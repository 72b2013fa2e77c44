"""Merge duplicate contacts: same e-mail or same phone means same person (union-find)."""
import json
import re


class UnionFind:
    def __init__(self, n):
        self.parent = list(range(n))

    def find(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def union(self, a, b):
        a, b = self.find(a), self.find(b)
        if a != b:
            self.parent[max(a, b)] = min(a, b)


def keys(contact):
    for email in contact.get("emails", []):
        user, _, domain = email.strip().lower().partition("@")
        if domain in ("gmail.com", "googlemail.com"):
            user, domain = user.split("+")[0].replace(".", ""), "gmail.com"
        yield f"e:{user}@{domain}"
    for phone in contact.get("phones", []):
        yield "p:" + re.sub(r"\D", "", phone)[-9:]


contacts = json.load(open("/work/input.json"))
uf = UnionFind(len(contacts))
seen = {}
for i, contact in enumerate(contacts):
    for key in keys(contact):
        uf.union(i, seen.setdefault(key, i))

groups = {}
for i in range(len(contacts)):
    groups.setdefault(uf.find(i), []).append(i)

merged = []
for members in groups.values():
    people = [contacts[i] for i in members]
    merged.append({
        "name": max((p.get("name", "") for p in people), key=len),
        "emails": sorted({e.lower() for p in people for e in p.get("emails", [])}),
        "phones": sorted({ph for p in people for ph in p.get("phones", [])}),
        "merged_from": members,
    })

json.dump({"contacts": merged, "before": len(contacts), "after": len(merged)}, open("/work/result.json", "w"), indent=2)
