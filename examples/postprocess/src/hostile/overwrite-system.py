"""Tries to leave something behind in the system's own directories."""
import json
import os

written = []
for path in ("/etc/passwd", "/etc/ld.so.preload", "/etc/cron.d/job", "/usr/bin/python3", "/usr/local/bin/sudo", "/bin/sh", "/root/.bashrc", "/proc/sys/kernel/core_pattern"):
    try:
        with open(path, "a") as f:
            f.write("# was here\n")
        written.append(path)
    except OSError as error:
        print(error)

json.dump({"written": written, "uid": os.getuid()}, open("/work/result.json", "w"))
