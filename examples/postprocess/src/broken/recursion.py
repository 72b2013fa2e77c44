import json

def depth(node):
    return 1 + max(depth(child) for child in node["children"])

tree = {"children": []}
tree["children"].append(tree)  # it contains itself
json.dump({"depth": depth(tree)}, open("/work/result.json", "w"))
