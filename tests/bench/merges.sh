#!/usr/bin/env bash
# tests/bench/merges.sh BINARY: a merge, a delete+insert and a snapshot of a million rows, each against psql with the same
# SQL in the same run. BENCH_ROUNDS as in run.sh.
binary=${1:?usage: tests/bench/merges.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/merges.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cd "$(dirname "$0")" || exit 2
unset BENCH_ONLY
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
exec "$python" merges.py "$binary"
