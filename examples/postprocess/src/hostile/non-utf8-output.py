import json
import sys

sys.stdout.buffer.write(b"caf\xe9 \xff\xfe\x00 \x1b[31mred\x1b[0m\n")
sys.stderr.buffer.write(bytes(range(256)))
json.dump({"written": 256}, open("/work/result.json", "w"))
