n = 0
while True:
    print("progress:", n)
    n += 1
