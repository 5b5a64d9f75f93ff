#!/usr/bin/env bash
# tests/run.sh SUITE...: builds what the suites need and runs them, each to its end. Every suite closes with a line
# "N passed, N failed"; the last line is their sum, and the status is 1 when anything failed.
# Suites: check unit lua jinja e2e fault long browser fuzz fuzzer san. One file of a suite:
# tests/run.sh lua tests/lua/yaml_test.lua
cd "$(dirname "$0")/.." || exit 2
build=build/release
san=
passed=0
failed=0
broken=() # what failed, for the summary

# tally NAME STATUS < OUTPUT: shows the output and adds up what its last line says. A runner that fails without saying
# so, or says nothing, has failed once more.
tally() {
  local name=$1 output=$2 status=$3 line p f
  line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$output" | tail -n 1)
  p=${line%% passed*} f=${line#*, } f=${f%% failed*}
  if [ -z "$line" ]; then
    echo "$name: ended with status $status and no count"
    p=0 f=1
  elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
    echo "$name: ended with status $status"
    f=1
  fi
  passed=$((passed + p)) failed=$((failed + f))
  [ "$f" -eq 0 ] || broken+=("$name: $f failed")
}

# run NAME COMMAND...: one runner, whose output is shown as it comes.
run() {
  local name=$1 status
  shift
  "$@" < /dev/null 2>&1 | tee "$out"
  status=${PIPESTATUS[0]}
  tally "$name" "$out" "$status"
}

# quiet NAME COMMAND...: the same, shown only if it fails.
quiet() {
  local name=$1 status before=$failed
  shift
  "$@" < /dev/null > "$out" 2>&1
  status=$?
  tally "$name" "$out" "$status" > "$out.tally"
  if [ "$failed" -ne "$before" ]; then
    echo "--- $name: $*"
    cat "$out" "$out.tally"
  fi
}

made() { # builds; a failed build is a failed test, and ends the suite
  make --no-print-directory -s -j"$(getconf _NPROCESSORS_ONLN)" SAN=$san "$@" && return
  failed=$((failed + 1)) broken+=("make${san:+ SAN=$san}: failed")
  return 1
}

check_suite() {
  quiet layers tests/check/one.sh tests/check/layers.sh
  quiet sizes tests/check/one.sh tests/check/sizes.sh
  quiet docs tests/check/one.sh tests/check/docs.sh
  quiet clang-format tests/check/one.sh clang-format --dry-run -Werror $(find engine tests -name '*.[ch]')
  quiet luacheck tests/check/one.sh luacheck -q --no-color lua stdlib tests examples
}

unit_suite() {
  made units || return
  for file in tests/unit/test_*.c; do
    wanted "$file" && quiet "$file" "$build/$(basename "$file" .c)"
  done
}

lua_suite() {
  made luatest || return
  for file in tests/lua/*_test.lua; do
    wanted "$file" && quiet "$file" "$build/luatest" "$file"
  done
}

jinja_suite() {
  made build || return
  run tests/jinja tests/python.sh tests/jinja/corpus.py --engine "$build/dex-lua"
}

pytest_suite() { # FOLDER ARGUMENT...
  made build || return
  local folder=$1
  shift
  run "$folder" tests/python.sh tests/e2e/main.py --binary "$build/dex-lua" "$@" "${files[@]:-$folder}"
}

e2e_suite() { pytest_suite tests/e2e; }
fault_suite() { [ -d tests/fault ] && pytest_suite tests/fault; }
long_suite() { DEX_TEST_LONG=1 pytest_suite tests/fault -k ledger_kill; } # what the other suites do a few times only
browser_suite() { [ -d tests/browser ] && pytest_suite tests/browser; }

# A short fuzzing of the template engine, always the same one.
fuzz_suite() {
  made luatest || return
  run tests/fuzz tests/fuzz/run.sh "$build/luatest"
}

# The same by libFuzzer, whose build has sanitizers of its own.
fuzzer_suite() {
  if ! tests/deps.sh fuzz; then
    echo "tests/fuzz: libFuzzer is left out: no clang that has it could be installed"
    return
  fi
  made fuzzer || return
  run libfuzzer tests/fuzz/libfuzzer.sh build/fuzz/fuzz_template
  run libfuzzer-http tests/fuzz/libfuzzer.sh build/fuzz/fuzz_http
}

# The address and undefined-behaviour sanitizers over the C unit tests, the Lua tests, and those end-to-end tests that are
# marked for it. A leak is a failure.
san_suite() {
  san=address,undefined build=build/san-address-undefined
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
  export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
  unit_suite
  lua_suite
  fuzz_suite
  pytest_suite tests/e2e -m san
  pytest_suite tests/fault -m san
  san= build=build/release
  unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
}

files=()
suites=()
for word; do # a suite may have the name of a folder
  if ! declare -F "${word}_suite" > /dev/null && [ -e "$word" ]; then files+=("$word"); else suites+=("$word"); fi
done
wanted() { # FILE: no file named on the command line wants all
  [ ${#files[@]} -eq 0 ] && return
  local file
  for file in "${files[@]}"; do [ "$file" = "$1" ] && return; done
  return 1
}

out=$(mktemp) || exit 2
trap 'rm -f "$out" "$out.tally"' EXIT
trap 'exit 130' INT TERM
for suite in "${suites[@]}"; do
  if ! declare -F "${suite}_suite" > /dev/null; then
    echo "tests/run.sh: no suite is called $suite" >&2
    exit 2
  fi
  before_passed=$passed before_failed=$failed started=$SECONDS
  echo "=== $suite"
  "${suite}_suite"
  echo "=== $suite: $((passed - before_passed)) passed, $((failed - before_failed)) failed, $((SECONDS - started)) s"
done
for line in "${broken[@]}"; do echo "$line"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
