#!/bin/sh
set -eu
total=$(awk '{ s += $1 } END { print s + 0 }' /dev/null)
printf '{"total": %s, "currency": "%s"}\n' "$total" "$CURRENCY_CODE" > /work/result.json
