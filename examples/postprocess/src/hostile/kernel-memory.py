"""Tries to read memory that is not its own."""
import json

readable = []
for path in ("/dev/mem", "/dev/kmem", "/proc/kcore", "/proc/1/mem"):
    try:
        with open(path, "rb", buffering=0) as f:
            f.seek(4096)
            if f.read(16):
                readable.append(path)
    except OSError as error:
        print(error)

json.dump({"readable": readable}, open("/work/result.json", "w"))
