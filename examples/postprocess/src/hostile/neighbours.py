"""Looks for other programs: processes of the host or of another sandbox."""
import json
import os

mine = {os.getpid(), os.getppid(), 1}  # and what started us
others = []
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in mine:
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f:
                others.append(f.read(200).replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            pass

print("others:", others)
json.dump({"others": others}, open("/work/result.json", "w"))
