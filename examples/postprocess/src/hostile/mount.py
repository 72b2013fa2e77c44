"""Tries to mount, and to leave its root directory."""
import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
os.makedirs("/work/mnt", exist_ok=True)

allowed = []
if libc.mount(b"none", b"/work/mnt", b"tmpfs", 0, None) == 0:
    allowed.append("tmpfs")
if libc.mount(b"/", b"/work/mnt", None, 0x1000, None) == 0:
    allowed.append("bind")
if libc.mount(b"proc", b"/work/mnt", b"proc", 0, None) == 0:
    allowed.append("proc")
if libc.umount2(b"/proc", 2) == 0:
    allowed.append("umount")
for name, attempt in (("chroot", lambda: os.chroot("/work")), ("mknod", lambda: os.mknod("/work/sda", 0o60666, os.makedev(8, 0)))):
    try:
        attempt()
        allowed.append(name)
    except OSError as error:
        print(name, error)

json.dump({"allowed": allowed}, open("/work/result.json", "w"))
