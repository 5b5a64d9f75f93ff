#!/bin/sh
# tests/fuzz/run.sh LUATEST [COUNT [SEED]]: fuzzes the template engine with COUNT mutated templates. The same seed gives
# the same templates: what the tests run is always the same, a search takes other seeds and more.
cd "$(dirname "$0")/../.." || exit 2
exec "$1" tests/fuzz/mutate.lua tests/jinja/cases.jsonl "${2:-20000}" "${3:-1}"
