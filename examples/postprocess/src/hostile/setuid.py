"""Tries to become root."""
import json
import os
import shutil

became = []
for name, attempt in (
    ("setuid", lambda: os.setuid(0)),
    ("setresuid", lambda: os.setresuid(0, 0, 0)),
    ("setgroups", lambda: os.setgroups([0])),
    ("chown", lambda: os.chown("/work", 0, 0)),
):
    try:
        attempt()
        became.append(name)
    except OSError as error:
        print(name, error)

# A set-uid copy of the shell is a copy of our own
shutil.copy("/bin/sh", "/work/sh")
os.chmod("/work/sh", 0o4755)
if os.popen("/work/sh -p -c 'id -u'").read().strip() == "0":
    became.append("set-uid shell")

json.dump({"became_root": became, "uid": os.getuid()}, open("/work/result.json", "w"))
