#!/usr/bin/env bash
# tests/bench/templates.sh BINARY: compiling and rendering templates shaped like dbt's, against Jinja2 under Python and,
# where cargo is there, minijinja in Rust, each round through all of them. Jinja2 is the system's (python3-jinja2) or
# comes into a venv; the crate is built in a folder of its own. Both lie below ${TMPDIR:-/tmp}/dex-bench-templates and
# are used again. BENCH_ROUNDS as in run.sh.
cd "$(dirname "$0")/../.." || exit 2
binary=${1:?usage: tests/bench/templates.sh BINARY}
build=$(dirname "$binary")
work=${TMPDIR:-/tmp}/dex-bench-templates
mkdir -p "$work" || exit 2

# the program that runs Lua files inside of dex-lua's own VM
make --no-print-directory -s B="$build" "$build/luatest" || exit 2

has_jinja2() { "$1" -c 'import jinja2' 2> /dev/null; }
python=
for candidate in /usr/bin/python3 python3 "$work/venv/bin/python"; do
  has_jinja2 "$candidate" && python=$candidate && break
done
if [ -z "$python" ]; then
  python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -q jinja2 && python=$work/venv/bin/python
fi
[ -n "$python" ] || { echo "tests/bench/templates.sh: no Jinja2: \`apt-get install python3-jinja2\`" >&2; exit 2; }

rust=
if command -v cargo > /dev/null; then
  mkdir -p "$work/minijinja/src" &&
    cp tests/bench/templates/minijinja.toml "$work/minijinja/Cargo.toml" &&
    cp tests/bench/templates/minijinja.rs "$work/minijinja/src/main.rs" &&
    (cd "$work/minijinja" && cargo build -q --release) && rust=$work/minijinja/target/release/bench
fi
[ -n "$rust" ] || echo "(no cargo, or no way to crates.io: without minijinja)"

exec "$python" tests/bench/templates.py "$build/luatest" "$rust"
