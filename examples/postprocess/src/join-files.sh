#!/bin/sh
# Join customers and orders on the customer id; list customers without orders.
set -eu
export LC_ALL=C
cd /work

sort -t, -k1,1 customers.csv > c.sorted
sort -t, -k2,2 orders.csv > o.sorted

join -t, -1 1 -2 2 -o 0,1.2,2.1,2.3 c.sorted o.sorted > joined.csv
join -t, -1 1 -2 2 -v 1 c.sorted o.sorted > idle.csv

echo "joined $(wc -l < joined.csv) rows" >&2

{
	printf '{"orders":['
	awk -F, '{ printf "%s{\"customer\":\"%s\",\"name\":\"%s\",\"order\":\"%s\",\"total\":%s}", (NR>1?",":""), $1, $2, $3, $4 }' joined.csv
	printf '],"idle":['
	awk -F, '{ printf "%s\"%s\"", (NR>1?",":""), $2 }' idle.csv
	printf ']}\n'
} > result.json
