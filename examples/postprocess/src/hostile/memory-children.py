"""A balloon in several processes: none of them is too large alone."""
import os
import sys
import time

children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        blocks = []
        for _ in range(40):
            blocks.append(b"\xff" * (8 << 20))
        time.sleep(5)
        os._exit(0)
    children.append(pid)

statuses = [os.waitpid(pid, 0)[1] for pid in children]
sys.exit(1 if any(statuses) else 0)
