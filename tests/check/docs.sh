#!/bin/sh
# Checks that what can be met is explained: every function in a header of engine/ by a comment, every error code in
# lua/help/errors.lua, every option and command by its help line. Prints file:line of what is not.
cd "$(dirname "$0")/../.." || exit 2
bad=0

# A function stands below a comment of its own, or of a block without blank lines. luaopen_ functions all do the same.
find engine -name '*.h' | sort | xargs awk '
FNR == 1 { told = inside = 0 }
/^[ \t]*$/ { told = 0 }
/^\/\*/ { inside = 1 }
inside { if (/\*\//) { inside = 0; told = 1 } next }
/^[A-Za-z].*[ *][a-z_0-9]+\(/ && !/^typedef/ && !told {   # what follows the name is indented
  name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
  if (name ~ /^luaopen_/) next
  printf "%s:%d: %s has no comment above it\n", FILENAME, FNR, name; bad++
}
END { exit bad > 0 }' || bad=1

# Codes: in Lua what is assigned to `code` or stands for a kind of error, in C the second argument of what makes errors, a
# number or the name of one.
errors=lua/help/errors.lua
used() {
  find lua stdlib -name '*.lua' ! -path "$errors" | sort | xargs awk '
  { line = $0
    while (match(line, /(^|[^a-z_])(code[a-z_., ]* = |[A-Z][A-Za-z]*Error = |codes\[.* or |warn\([a-z]+, [a-z]+, )[1-9][0-9][0-9]([^0-9]|$)/)) {
      found = substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH)
      match(found, /[1-9][0-9][0-9][^0-9]*$/); print substr(found, RSTART, 3), FILENAME ":" FNR
    } }'
  find engine -name '*.[ch]' | sort | xargs awk '
  FNR == 1 { open = "" }
  { line = $0
    while (match(line, /[A-Z][A-Z_0-9]* = [1-9][0-9][0-9]([^0-9]|$)/)) {
      split(substr(line, RSTART, RLENGTH), pair, / = /); line = substr(line, RSTART + RLENGTH)
      value[pair[1]] = pair[2] + 0
    }
    line = open $0; open = ""                    # a call whose arguments begin on the next line
    if (line ~ /(err_set|err_sys|lua_err_pushf|lua_err_misuse)\($/) { open = line; next }
    while (match(line, /(err_set|err_sys|lua_err_pushf|lua_err_misuse)\([^,()]*, *[A-Z0-9][A-Z_0-9]*/)) {
      word = substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH)
      sub(/.*, */, "", word); uses[++n] = word; where[n] = FILENAME ":" FNR
    } }
  END { for (i = 1; i <= n; i++) { code = uses[i] ~ /^[0-9]/ ? uses[i] : value[uses[i]]
    if (code >= 100) print code, where[i] } }'
}
if [ -f "$errors" ]; then
  used | awk -v errors="$errors" '
  BEGIN { while ((getline line < errors) > 0)
    while (match(line, /(\[[1-9][0-9][0-9]\] *=|code = [1-9][0-9][0-9])/)) {
      code = substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH)
      gsub(/[^0-9]/, "", code); known[code] = 1
    } }
  !($1 in known) { printf "%s: error %s is not explained in %s\n", $2, $1, errors; bad++ }
  END { exit bad > 0 }' || bad=1
else
  echo "$errors:1: missing: it explains the error codes"
  bad=1
fi

# Every entry of the option and command tables carries its help line.
awk '
function settle() { if (open != "" && !helped) { printf "%s:%d: %s has no help\n", FILENAME, at, open; bad++ } open = "" }
/^  \{ name = "/ { settle(); split($0, q, "\""); open = q[2]; at = FNR; helped = 0 }
/^}/ { settle() }
/help = "[^"]/ || /about = "[^"]/ || /summary = "[^"]/ { helped = 1 }
END { settle(); exit bad > 0 }' lua/help/options.lua || bad=1

exit $bad
