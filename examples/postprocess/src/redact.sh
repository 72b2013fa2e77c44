#!/bin/sh
# Redact personal data: e-mail addresses, card numbers, phone numbers, IPs
set -eu

sed -E \
	-e 's/[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]+/[EMAIL]/g' \
	-e 's/([0-9]{4}[ -]?){3}[0-9]{4}/[CARD]/g' \
	-e 's/\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b/[IP]/g' \
	-e 's/\+[0-9][0-9 ().-]{7,}[0-9]/[PHONE]/g' \
	/work/notes.txt > /work/clean.txt

# JSON needs backslashes, quotes and tabs escaped
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' /work/clean.txt |
	awk '
		BEGIN { printf "{\"lines\":[" }
		{ printf "%s\"%s\"", (NR > 1 ? "," : ""), $0; n += gsub(/\[(EMAIL|CARD|IP|PHONE)\]/, "") }
		END { printf "],\"redacted\":%d}\n", n }
	' > /work/result.json
