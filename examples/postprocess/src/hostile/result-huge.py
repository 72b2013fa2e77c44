# Good JSON, and 64 MiB of it
with open("/work/result.json", "w") as f:
    f.write('{"text": "')
    for _ in range(64):
        f.write("A" * (1 << 20))
    f.write('"}')
