#!/usr/bin/env bash
# tests/bench/hooks.sh BINARY: what hooks cost, alone and by the ten thousand, and rows that stream through them, against
# psql in the same run. BENCH_ROUNDS as in run.sh.
binary=${1:?usage: tests/bench/hooks.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/hooks.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cd "$(dirname "$0")" || exit 2
unset BENCH_ONLY
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
exec "$python" hooks.py "$binary"
