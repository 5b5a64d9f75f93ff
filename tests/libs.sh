#!/bin/sh
# Prints the Makefile's LIB_CFLAGS and LIBS: where the libraries are and how they are linked. Lua, LPeg and SQLite are
# linked statically where there is an archive.
pkg=${PKG_CONFIG:-pkg-config}
missing=

first() { # the first of the names that pkg-config knows
  for name; do
    "$pkg" --exists "$name" && echo "$name" && return
  done
  return 1
}

command -v "$pkg" > /dev/null || { echo "$pkg is missing: \`make deps\` installs what building needs" >&2; exit 1; }
lua=$(first lua5.4 lua-5.4 lua54 lua) || missing="$missing Lua-5.4"
for name in libpq yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit sqlite3; do
  "$pkg" --exists $name || missing="$missing $name"
done
if [ -n "$missing" ]; then
  echo "libraries are missing:$missing" >&2
  echo "\`make deps\` installs what building needs" >&2
  exit 1
fi

# static LIBDIR NAME...: the first archive there is, else nothing
static() {
  dir=$1; shift
  for name; do
    [ -f "$dir/lib$name.a" ] && echo "$dir/lib$name.a" && return
  done
}
dir=$("$pkg" --variable=libdir "$lua")
lua_libs=$(static "$dir" lua5.4 lua-5.4 lua54)
lpeg_libs=$(static "$dir" lua5.4-lpeg lpeg)
: "${lua_libs:=$("$pkg" --libs "$lua")}"
: "${lpeg_libs:=$(first lua5.4-lpeg lpeg > /dev/null && "$pkg" --libs "$(first lua5.4-lpeg lpeg)" || echo -llpeg)}"

sqlite_libs=$(static "$("$pkg" --variable=libdir sqlite3)" sqlite3)
: "${sqlite_libs:=$("$pkg" --libs sqlite3)}"

# libpq is loaded by the program when it first connects (engine/db/libpq.h); one of the tests is linked with it.
echo "LIB_CFLAGS := $("$pkg" --cflags "$lua" libpq yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit sqlite3)" \
  "-DLIBPQ_DIR='\"$("$pkg" --variable=libdir libpq)\"'"
echo "LIBS := $lpeg_libs $lua_libs $sqlite_libs $("$pkg" --libs yaml-0.1 libevent_core libcrypto libpcre2-8 libxxhash libedit) -lpthread -lm -ldl"
echo "TEST_LIBS := $("$pkg" --libs libpq)"
