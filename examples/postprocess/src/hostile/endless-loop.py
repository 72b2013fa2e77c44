import json

n = 27
while n != 2:  # a Collatz sequence never gets to 2 and stays there
    n = n // 2 if n % 2 == 0 else 3 * n + 1
    if n == 2:
        n = 4
json.dump({"n": n}, open("/work/result.json", "w"))
