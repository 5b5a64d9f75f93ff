#!/usr/bin/env bash
# tests/bench/projects.sh BINARY: generated projects of 2,000, 10,000 and 20,000 models (tests/bench/generate.py), each
# model with a properties file and two tests: parsed as a whole, again, and after one change; listed, compiled, completed.
# Memory is that of the largest of a command's processes. No server is needed. BENCH_ROUNDS as in run.sh;
# BENCH_SIZES="2000 10000"; BENCH_DBT=path/of/dbt measures dbt's own parse of the smallest project beside it.
cd "$(dirname "$0")/../.." || exit 2
binary=${1:?usage: tests/bench/projects.sh BINARY}
python=
for candidate in /usr/bin/python3 python3; do
  command -v "$candidate" > /dev/null 2>&1 && python=$candidate && break
done
[ -n "$python" ] || { echo "tests/bench/projects.sh: no python3: \`make deps\` installs it" >&2; exit 2; }
exec "$python" tests/bench/projects.py "$binary"
