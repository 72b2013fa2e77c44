import os

while True:
    if os.fork() == 0:  # BlockingIOError when the limit is reached
        os.execlp("sleep", "sleep", "60")
