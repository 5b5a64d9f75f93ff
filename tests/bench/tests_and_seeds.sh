#!/usr/bin/env bash
# tests/bench/tests_and_seeds.sh BINARY: 1,000 data tests and a seed of a million rows, each against psql with the same
# SQL in the same run. BENCH_ROUNDS as in run.sh.
binary=${1:?usage: tests/bench/tests_and_seeds.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/tests_and_seeds.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cd "$(dirname "$0")" || exit 2
unset BENCH_ONLY
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
exec "$python" tests_and_seeds.py "$binary"
