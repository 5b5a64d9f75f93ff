#!/usr/bin/env bash
# tests/bench/run.sh BINARY: measures the speed of a dex-lua, both sides of every ratio in the same run, and then runs
# each section of its own in tests/bench/*.sh, which gets the binary too. BENCH_ROUNDS=9 measures longer than the usual
# 5 rounds; BENCH_ONLY="views seeds" leaves out the other sections.
cd "$(dirname "$0")/../.." || exit 2
binary=${1:?usage: tests/bench/run.sh BINARY}
[ -x "$binary" ] || { echo "tests/bench/run.sh: $binary is no program" >&2; exit 2; }
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")

python=
for candidate in /usr/bin/python3 python3; do
  command -v "$candidate" > /dev/null 2>&1 && python=$candidate && break
done
[ -n "$python" ] || { echo "tests/bench/run.sh: no python3: \`make deps\` installs it" >&2; exit 2; }

status=0
"$python" tests/bench/main.py "$binary" || status=1
for section in tests/bench/*.sh; do
  name=$(basename "$section" .sh)
  [ "$name" = run ] && continue
  case " ${BENCH_ONLY:-$name} " in *" $name "*) ;; *) continue ;; esac
  echo
  "$section" "$binary" || status=1
done
exit $status
