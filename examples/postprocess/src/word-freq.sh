#!/bin/sh
# Most frequent words
LC_ALL=C
export LC_ALL

tr 'A-Z' 'a-z' < /work/text.txt | tr -cs "a-z'" '\n' | awk 'NF { n[$1]++ } END { for (w in n) print n[w], w }' | sort -k1,1nr -k2,2 |
	awk '
		{ words++; total += $1 }
		NR <= 5 { top = top (NR > 1 ? "," : "") "[\"" $2 "\"," $1 "]" }
		END { printf "{\"total\":%d,\"distinct\":%d,\"top\":[%s]}\n", total, words, top }
	' > /work/result.json
