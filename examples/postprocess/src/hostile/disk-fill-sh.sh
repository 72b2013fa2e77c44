#!/bin/sh
set -e
cat /dev/zero > /work/fill.bin
