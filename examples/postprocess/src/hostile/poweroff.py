"""Tries to switch the machine off."""
import ctypes
import json
import os
import signal

refused = []
libc = ctypes.CDLL(None, use_errno=True)

for name, command in (("poweroff", 0x4321FEDC), ("restart", 0x01234567), ("halt", 0xCDEF0123)):
    if libc.reboot(ctypes.c_int(command).value) == -1:
        refused.append(name)

try:
    with open("/proc/sysrq-trigger", "w") as f:
        f.write("o")
except OSError:
    refused.append("sysrq")

try:
    os.kill(1, signal.SIGKILL)
except OSError:
    refused.append("kill init")

json.dump({"refused": refused}, open("/work/result.json", "w"))
