#!/usr/bin/env bash
# tests/bench/repl.sh BINARY: how long a person at `dex-lua repl` waits, on a pseudo terminal: for the first prompt and for
# completing a name among 10,000 models. The project has been read once. BENCH_ROUNDS as in run.sh.
cd "$(dirname "$0")/../.." || exit 2
exec python3 tests/bench/repl.py "${1:?usage: tests/bench/repl.sh BINARY}"
