import json

def flatten(obj, prefix="", sep="."):
    items = {}
    if isinstance(obj, dict):
        if not obj and prefix:
            items[prefix] = {}
        for k, v in obj.items():
            key = f"{prefix}{sep}{k}" if prefix else k
            items.update(flatten(v, key, sep))
    elif isinstance(obj, list):
        if not obj and prefix:
            items[prefix] = []
        for i, v in enumerate(obj):
            items.update(flatten(v, f"{prefix}[{i}]", sep))
    else:
        items[prefix] = obj
    return items

def unflatten(flat):
    """Inverse of flatten(): used to check that nothing was lost."""
    root = {}
    for path, value in flat.items():
        tokens = []
        for part in path.split("."):
            name, *indexes = part.replace("]", "").split("[")
            if name:
                tokens.append(name)
            tokens.extend(int(i) for i in indexes)
        node = root
        for token, following in zip(tokens, tokens[1:] + [None]):
            last = following is None
            child = value if last else ([] if isinstance(following, int) else {})
            if isinstance(token, int):
                while len(node) <= token:
                    node.append(None)
                if node[token] is None or last:
                    node[token] = child
                node = node[token]
            else:
                node = node.setdefault(token, child)
    return root

data = json.load(open("/work/input.json"))
flat = flatten(data)
print(len(flat), "leaves")
assert unflatten(flat) == data, "flattening lost something"
json.dump(flat, open("/work/result.json", "w"), sort_keys=True)
