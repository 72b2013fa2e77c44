import os
import time

count = 0
while True:
    pid = os.fork()  # BlockingIOError when the limit is reached
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    count += 1
