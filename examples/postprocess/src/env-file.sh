#!/bin/sh
# Turn a .env file into JSON; secrets are masked
set -eu

grep -Ev '^[[:space:]]*(#|$)' /work/app.env | sed -E 's/^[[:space:]]*(export[[:space:]]+)?//' |
	awk '
		{
			i = index($0, "=")
			if (!i) { bad++; next }
			key = substr($0, 1, i - 1)
			value = substr($0, i + 1)
			if (value ~ /^".*"$/ || value ~ /^'\''.*'\''$/) value = substr(value, 2, length(value) - 2)
			else sub(/[ \t]+#.*$/, "", value)
			if (key ~ /(SECRET|TOKEN|PASSWORD)/) value = "***"
			gsub(/\\/, "\\\\", value)
			gsub(/"/, "\\\"", value)
			if (!(key in v)) order[++n] = key
			v[key] = value
		}
		END {
			printf "{\"vars\":{"
			for (i = 1; i <= n; i++) printf "%s\"%s\":\"%s\"", (i > 1 ? "," : ""), order[i], v[order[i]]
			printf "},\"bad_lines\":%d}\n", bad
		}
	' > /work/result.json
