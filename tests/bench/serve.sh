#!/usr/bin/env bash
# tests/bench/serve.sh BINARY: a server with 200 flows that waits for their times: its memory, and how often it wakes without
# a reason.
cd "$(dirname "$0")/../.." || exit 2
exec python3 tests/bench/serve.py "${1:?usage: tests/bench/serve.sh BINARY}"
