#!/bin/sh
# tests/fuzz/libfuzzer.sh TARGET [RUNS [SEED]]: runs a libFuzzer target (make fuzzer) over its seeds and over RUNS inputs
# that it makes of them. The same seed gives the same inputs. For a long search call the target itself, with a folder
# for what it finds: TARGET -dict=tests/fuzz/jinja.dict -timeout=30 FOUND SEEDS (tests/fuzz/seeds.py writes the seeds;
# http_seeds.py and http.dict are those of the HTTP surface).
cd "$(dirname "$0")/../.." || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
case $1 in
  *http) maker=http_seeds.py words=http.dict ;;
  *) maker=seeds.py words=jinja.dict ;;
esac
export TMPDIR="$folder"
seeds=$(tests/python.sh tests/fuzz/$maker "$folder/seeds") || exit 2
mkdir "$folder/found"
if "$1" -runs=$((seeds + ${2:-3000})) -seed="${3:-1}" -timeout=60 -rss_limit_mb=2000 -dict=tests/fuzz/$words \
  -artifact_prefix="$folder/" "$folder/found" "$folder/seeds" > "$folder/log" 2>&1; then
  echo "$seeds seeds and ${2:-3000} inputs"
  echo "1 passed, 0 failed"
else
  tail -n 40 "$folder/log"
  for input in "$folder"/crash-* "$folder"/timeout-* "$folder"/oom-*; do
    [ -e "$input" ] && echo "the input:" && od -c "$input" | head -n 60
  done
  echo "0 passed, 1 failed"
  exit 1
fi
