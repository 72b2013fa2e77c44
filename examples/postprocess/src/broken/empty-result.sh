#!/bin/sh
# The redirection makes the file, and then nothing matches
grep -o '{.*}' /dev/null > /work/result.json
exit 0
