#!/bin/sh
# tests/deps.sh SET...: looks for what building (build), running the example (run), testing (test), testing in a
# browser (browser) and fuzzing (fuzz) need, and installs what is missing: by apt-get, as root or through sudo. Without
# apt it names the packages and stops with status 1. Prints nothing when nothing is missing. Sets are looked at by what
# they must give, not by packages: a PostgreSQL from anywhere will do.
cd "$(dirname "$0")/.." || exit 2
missing= # packages, by Debian's names
reason=  # and what each was wanted for

need() { # PACKAGE WHAT
  case " $missing " in *" $1 "*) return ;; esac
  missing="$missing $1"
  reason="$reason
  $1: $2"
}

tool() { # PROGRAM PACKAGE
  command -v "$1" > /dev/null 2>&1 || need "$2" "$1"
}

look_build() {
  tool cc gcc
  tool make make
  if ! command -v "${PKG_CONFIG:-pkg-config}" > /dev/null 2>&1; then
    need pkg-config "where libraries are"
    set -- lua libpq yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit sqlite3
  elif "${PKG_CONFIG:-pkg-config}" --exists lua5.4 libpq yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit sqlite3; then
    set --
  else
    set --
    for name in libpq yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit sqlite3; do
      "${PKG_CONFIG:-pkg-config}" --exists $name || set -- "$@" $name
    done
    for name in lua5.4 lua-5.4 lua54; do
      "${PKG_CONFIG:-pkg-config}" --exists $name && break
    done || set -- "$@" lua
  fi
  for name; do
    case $name in
      lua) need liblua5.4-dev "Lua 5.4" ;;
      libpq) need libpq-dev "PostgreSQL's client library" ;;
      yaml-0.1) need libyaml-dev "YAML" ;;
      libevent_core) need libevent-dev "the event loop" ;;
      libcrypto) need libssl-dev "checksums" ;;
      libpcre2-8) need libpcre2-dev "regular expressions" ;;
      libedit) need libedit-dev "editing lines at the prompt" ;;
      sqlite3) need libsqlite3-dev "the history of runs" ;;
      libxxhash) need libxxhash-dev "checksums of what was read" ;;
    esac
  done
  found=
  for file in /usr/lib/*/liblua5.4-lpeg.* /usr/lib/liblua5.4-lpeg.* /usr/local/lib/*lpeg* /usr/lib64/*lpeg*; do
    [ -e "$file" ] && found=1 && break
  done
  [ -n "$found" ] || need lua-lpeg-dev "LPeg, the grammar of templates"
}

# The server's programs are rarely in PATH: the same places as the private server's own search.
look_run() {
  [ -e /usr/share/zoneinfo/Europe/Berlin ] || [ -e /usr/lib/zoneinfo/Europe/Berlin ] || need tzdata "time zones"
  for file in "$(command -v postgres)" /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
    /opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres; do
    [ -x "$file" ] && return
  done
  need postgresql "PostgreSQL's server, for the private server"
}

look_test() {
  look_run
  tool psql postgresql-client
  tool curl curl
  tests/python.sh -c '' 2> /dev/null || need python3-pytest "the tests of the program as a whole"
  tests/python.sh -c 'import jsonschema' 2> /dev/null || need python3-jsonschema "the schemas of dbt's artifacts"
  /usr/bin/python3 -c 'import psycopg2' 2> /dev/null || tests/python.sh -c 'import psycopg2' 2> /dev/null ||
    need python3-psycopg2 "operations in Python"
  tool luacheck lua-check
  tool clang-format clang-format
}

look_browser() {
  command -v chromium > /dev/null 2>&1 || command -v chromium-browser > /dev/null 2>&1 ||
    command -v google-chrome > /dev/null 2>&1 || need chromium "the tests in a browser"
  tool chromedriver chromium-driver
  tests/python.sh -c 'import sys; sys.path.append("/usr/lib/python3/dist-packages"); import selenium' 2> /dev/null ||
    need python3-selenium "driving the browser"
  # axe-core is no package of Debian's: the tests fetch it by pip, once.
  [ -n "$(ls build/axe/*.js 2> /dev/null)" ] || tests/python.sh -m pip --version > /dev/null 2>&1 ||
    need python3-pip "fetching axe-core"
}

# clang is there, and can it link libFuzzer? That has a package of its own in newer systems.
look_fuzz() {
  echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n > 0; }' |
    clang -fsanitize=fuzzer,address -x c - -o /dev/null 2> /dev/null && return
  need clang "fuzzing the template engine"
  version=$(apt-cache depends clang 2> /dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
  [ -z "$(apt-cache madison "libclang-rt-$version-dev" 2> /dev/null)" ] || need "libclang-rt-$version-dev" libFuzzer
}

[ $# -gt 0 ] || set -- build run test
for name; do
  case $name in
    build | run | test | browser | fuzz) "look_$name" ;;
    *) echo "tests/deps.sh: no set is called $name: build, run, test, browser, fuzz" >&2; exit 2 ;;
  esac
done
[ -n "$missing" ] || exit 0

echo "These packages are missing:$reason" >&2
if ! command -v apt-get > /dev/null 2>&1; then
  echo "They carry Debian's names, and there is no apt-get here: install them by this system's own means, then try again." >&2
  exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo > /dev/null 2>&1; then
    echo "Neither root nor sudo: have someone run" >&2
    echo "  apt-get install$missing" >&2
    exit 1
  fi
  as_root=sudo
  [ -t 0 ] || as_root="sudo -n" # nobody is there to type a password
fi

get() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" < /dev/null
}
echo "Installing them: ${as_root:+$as_root }apt-get install --no-install-recommends$missing" >&2
# The lists of packages are brought up to date only when these do not know a package, or know an old version of it.
apt-get -q -s install --no-install-recommends $missing > /dev/null 2>&1 || get update >&2
get install -y --no-install-recommends $missing >&2 ||
  { get update && get install -y --no-install-recommends $missing; } >&2 || {
    echo "apt-get failed: see above; what is missing:$missing" >&2
    exit 1
  }
