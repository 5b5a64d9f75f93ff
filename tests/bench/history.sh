#!/usr/bin/env bash
# tests/bench/history.sh BINARY: what the history costs a run, with and without it in turns, and how fast it answers
# when it holds HISTORY_RUNS (100,000) runs. BENCH_ROUNDS as in run.sh.
binary=${1:?usage: tests/bench/history.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/history.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cd "$(dirname "$0")" || exit 2
unset BENCH_ONLY
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
exec "$python" history.py "$binary"
