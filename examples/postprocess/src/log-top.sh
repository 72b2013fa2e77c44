#!/bin/sh
# Top client addresses and the error rate of an access log
set -eu
export LC_ALL=C

awk '{ n[$1]++ } END { for (ip in n) print n[ip], ip }' /work/access.log |
	sort -k1,1nr -k2,2 | head -n 3 > /work/top.txt

cat /work/top.txt

awk '
	NR == FNR { top = top sep "{\"ip\":\"" $2 "\",\"hits\":" $1 "}"; sep = ","; next }
	$9 ~ /^[45]/ { bad++ }
	{ total++ }
	END { printf "{\"top\":[%s],\"total\":%d,\"errors\":%d}\n", top, total, bad }
' /work/top.txt /work/access.log > /work/result.json
