#!/bin/sh
# Build a rename plan for photos: IMG_20240131_101500.jpg -> 2024-01-31/001.jpg
set -eu
export LC_ALL=C

sort /work/files.txt | sed -nE 's/^((IMG|DSC|PXL)_([0-9]{4})([0-9]{2})([0-9]{2})_[0-9]+\.(jpg|JPG|png))$/\1 \3-\4-\5 \6/p' |
	awk '
		{
			n[$2]++
			printf "%s{\"from\":\"%s\",\"to\":\"%s/%03d.%s\"}", (NR > 1 ? "," : "["), $1, $2, n[$2], tolower($3)
		}
		END { print NR ? "]" : "[]" }
	' > /work/plan.json

skipped=$(grep -Evc '^(IMG|DSC|PXL)_[0-9]{8}_[0-9]+\.(jpg|JPG|png)$' /work/files.txt || true)
printf '{"plan":%s,"skipped":%d}\n' "$(cat /work/plan.json)" "$skipped" > /work/result.json
