"""Tries to take over process 1 with ptrace, and to write into its memory."""
import ctypes
import json

PTRACE_ATTACH = 16
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long

attached = libc.ptrace(PTRACE_ATTACH, 1, None, None) == 0
print("ptrace:", ctypes.get_errno())


class IOVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


data = ctypes.create_string_buffer(b"\xcc" * 16)
local = IOVec(ctypes.addressof(data), 16)
remote = IOVec(0x400000, 16)
written = libc.process_vm_writev(1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0

json.dump({"attached": attached, "written": written}, open("/work/result.json", "w"))
