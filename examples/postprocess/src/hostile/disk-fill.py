block = b"\xaa" * (1 << 20)
with open("/work/fill.bin", "wb", buffering=0) as f:
    while True:
        f.write(block)
