#!/bin/sh
for region in north south; do
	printf '{"region": "%s"}\n' "$region"
done > /work/result.json
