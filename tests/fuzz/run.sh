#!/bin/sh
# tests/fuzz/run.sh LUATEST [SECONDS [SEED]]: a short fuzzing of the template engine; longer when SECONDS says so.
cd "$(dirname "$0")/../.." || exit 2
exec "$1" tests/fuzz/mutate.lua tests/jinja/cases.jsonl "${2:-20}" "${3:-$$}"
