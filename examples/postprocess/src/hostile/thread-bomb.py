import threading
import time

try:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError:
    time.sleep(1)  # perhaps there is room again later
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
