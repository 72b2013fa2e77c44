result = {"name": "Ann", "active": True, "score": None}

with open("/work/result.json", "w") as f:
    f.write(str(result))  # Python's own notation is not JSON
