import json

def diff(old, new, path="$"):
    """Yield (op, path, old, new) for every difference between two JSON values."""
    if type(old) is not type(new):
        yield ("changed", path, old, new)
    elif isinstance(old, dict):
        for key in sorted(old.keys() | new.keys()):
            p = f"{path}.{key}"
            if key not in new:
                yield ("removed", p, old[key], None)
            elif key not in old:
                yield ("added", p, None, new[key])
            else:
                yield from diff(old[key], new[key], p)
    elif isinstance(old, list):
        for i in range(max(len(old), len(new))):
            p = f"{path}[{i}]"
            if i >= len(new):
                yield ("removed", p, old[i], None)
            elif i >= len(old):
                yield ("added", p, None, new[i])
            else:
                yield from diff(old[i], new[i], p)
    elif old != new:
        yield ("changed", path, old, new)

doc = json.load(open("/work/input.json"))
changes = [dict(zip(("op", "path", "old", "new"), d)) for d in diff(doc["before"], doc["after"])]
for c in changes:
    print(c["op"], c["path"])
summary = {op: sum(c["op"] == op for c in changes) for op in ("added", "removed", "changed")}
json.dump({"changes": changes, "summary": summary}, open("/work/result.json", "w"))
