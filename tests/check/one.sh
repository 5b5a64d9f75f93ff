#!/bin/sh
# Runs a check as a test: its output, then the count. No word of output is lost.
if "$@"; then
  echo "1 passed, 0 failed"
else
  echo "0 passed, 1 failed"
  exit 1
fi
