import json

values = [1.0, 2.0, float("nan")]
with open("/work/result.json", "w") as f:
    json.dump({"mean": sum(values) / len(values)}, f)  # writes NaN, which JSON does not have
