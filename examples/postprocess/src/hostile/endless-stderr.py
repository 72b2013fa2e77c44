import sys

while True:
    print("WARNING: something is deprecated", file=sys.stderr)
