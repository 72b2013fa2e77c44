# Every page is written to, so that it is really there
blocks = []
while True:
    blocks.append(b"\xff" * (16 << 20))
