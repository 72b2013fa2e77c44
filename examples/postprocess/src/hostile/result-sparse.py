import os

# One terabyte that takes no room on the disk
with open("/work/result.json", "wb") as f:
    os.truncate(f.fileno(), 1 << 40)
