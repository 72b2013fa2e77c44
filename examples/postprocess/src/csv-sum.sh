#!/bin/sh
# Sum the amount per category of a simple CSV file (no quoted commas)
set -e

tail -n +2 /work/data.csv | tr -d '\r' | awk -F, '
	NF >= 3 { cents[$2] += int($3 * 100 + ($3 < 0 ? -0.5 : 0.5)); count[$2]++ }
	END { for (c in cents) printf "%s,%d,%.2f\n", c, count[c], cents[c] / 100 }
' | LC_ALL=C sort > /work/sums.csv

awk -F, '
	BEGIN { printf "[" }
	{ printf "%s{\"category\":\"%s\",\"count\":%d,\"sum\":%s}", (NR > 1 ? "," : ""), $1, $2, $3 }
	END { print "]" }
' /work/sums.csv > /work/result.json
