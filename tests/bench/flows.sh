#!/usr/bin/env bash
# tests/bench/flows.sh BINARY: what a flow of 10,000 tasks costs beside what its tasks do: processor time for each, with
# all that is written into the history, and memory. Reading the flow's file is measured alone and taken off.
# BENCH_ROUNDS as in run.sh.
cd "$(dirname "$0")/../.." || exit 2
exec python3 tests/bench/flows.py "${1:?usage: tests/bench/flows.sh BINARY}"
