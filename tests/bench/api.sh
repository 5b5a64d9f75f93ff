#!/usr/bin/env bash
# tests/bench/api.sh BINARY: the live page's server. Latency of the API at 1,000 requests a second, the run of 1,000
# models with 500 viewers beside the same run with none (user and system seconds of the run itself, since viewers and server
# take their share of this machine's cores), and the memory of an idle server. BENCH_ROUNDS as in run.sh.
cd "$(dirname "$0")/../.." || exit 2
python=/usr/bin/python3
[ -x "$python" ] || python=python3
exec "$python" tests/bench/api.py "${1:?usage: tests/bench/api.sh BINARY}"
