#!/bin/sh
# Remove duplicate lines but keep their order; compare without case and outer spaces
set -eu

awk '
	{ key = tolower($0); gsub(/^[ \t]+|[ \t]+$/, "", key) }
	key == "" { next }
	!seen[key]++ { print }
' /work/list.txt > /work/unique.txt

before=$(grep -c . /work/list.txt || true)
after=$(grep -c . /work/unique.txt || true)
first=$(head -n 1 /work/unique.txt)
sum=$(sha256sum /work/unique.txt | cut -c 1-16)

printf '{"before": %d, "after": %d, "first": "%s", "sha256": "%s"}\n' "$before" "$after" "$first" "$sum" > /work/result.json
