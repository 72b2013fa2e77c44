import json
import sys

# A result that is followed by a failure does not count
json.dump({"status": "incomplete"}, open("/work/result.json", "w"))
print("validation failed: 3 rows rejected", file=sys.stderr)
sys.exit(3)
