import json

with open("/work/input.json") as f
    data = json.load(f)

json.dump(data, open("/work/result.json", "w"))
