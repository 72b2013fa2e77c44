#!/bin/sh
set -e
curl-and-parse --json https://example.com/data > /work/result.json
