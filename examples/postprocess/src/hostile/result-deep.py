DEPTH = 100_000

with open("/work/result.json", "w") as f:
    f.write("[" * DEPTH + "]" * DEPTH)
