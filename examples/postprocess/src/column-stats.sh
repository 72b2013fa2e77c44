#!/bin/sh
# min, max, mean and median of each numeric column of a TSV file
set -eu
cd /work
columns=$(head -n 1 data.tsv | awk -F'\t' '{ print NF }')

out='{'
i=1
while [ "$i" -le "$columns" ]; do
	name=$(head -n 1 data.tsv | cut -f "$i")
	stats=$(tail -n +2 data.tsv | cut -f "$i" | grep -E '^-?[0-9]+(\.[0-9]+)?$' | LC_ALL=C sort -n | awk '
		{ v[NR] = $1; sum += $1 }
		END {
			if (!NR) { print "null"; exit }
			median = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			printf "{\"n\":%d,\"min\":%s,\"max\":%s,\"mean\":%.3f,\"median\":%g}", NR, v[1], v[NR], sum / NR, median
		}')
	[ "$i" -gt 1 ] && out="$out,"
	out="$out\"$name\":$stats"
	i=$((i + 1))
done
echo "$out}" > result.json
