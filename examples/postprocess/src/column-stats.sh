#!/bin/sh
# n, min, max, mean and median of each column of a TSV file; text columns give null
set -eu

awk -F'\t' '
	NR == 1 { for (i = 1; i <= NF; i++) print i "\tname\t" $i; next }
	{ for (i = 1; i <= NF; i++) if ($i ~ /^-?[0-9]+(\.[0-9]+)?$/) print i "\tvalue\t" $i }
' /work/data.tsv | LC_ALL=C sort -t '	' -k1,1n -k2,2 -k3,3n | awk -F'\t' '
	function flush() {
		if (name == "") return
		printf "%s\"%s\":", sep, name
		sep = ","
		if (!n) { printf "null"; return }
		median = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		printf "{\"n\":%d,\"min\":%s,\"max\":%s,\"mean\":%.3f,\"median\":%g}", n, v[1], v[n], sum / n, median
	}
	BEGIN { printf "{" }
	$2 == "name" { flush(); name = $3; n = sum = 0; next }
	{ v[++n] = $3; sum += $3 }
	END { flush(); print "}" }
' > /work/result.json
