#!/usr/bin/env bash
# tests/bench/ledger.sh BINARY: what the ledger costs, with and without it in turns. BENCH_ROUNDS as in run.sh.
binary=${1:?usage: tests/bench/ledger.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/ledger.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cd "$(dirname "$0")" || exit 2
unset BENCH_ONLY
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
exec "$python" ledger.py "$binary"
