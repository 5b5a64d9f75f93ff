#!/bin/sh
# Checks the layers of engine/: a file includes only its own layer and lower ones (db and graph not each other), Lua
# is entered at one place, and only the main file ends the process. Prints file:line of every breach.
cd "$(dirname "$0")/../.." || exit 2

find engine -name '*.[ch]' | sort | xargs awk '
BEGIN {
  split("base io db graph script run front", names)
  rank["base"] = 1; rank["io"] = 2; rank["db"] = 3; rank["graph"] = 3
  rank["script"] = 4; rank["run"] = 5; rank["front"] = 6
}
function say(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad++ }
FNR == 1 { split(FILENAME, part, "/"); layer = part[2]; comment = 0
  if (!(layer in rank)) say("layer " layer " is unknown") }
{
  code = $0                                   # without comments and the content of strings
  gsub(/\\./, "", code); gsub(/"[^"]*"/, "\"\"", code)
  if (comment) { if (!sub(/^.*\*\//, "", code)) next; comment = 0 }
  gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", code); sub(/\/\/.*/, "", code)
  if (sub(/\/\*.*/, "", code)) comment = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
  split($0, quoted, "\""); split(quoted[2], path, "/"); other = path[1]
  if (quoted[2] !~ /\//) say("include \"" quoted[2] "\" lacks its layer")
  else if (!(other in rank)) say("include \"" quoted[2] "\": no such layer")
  else if (rank[other] > rank[layer] || (rank[other] == rank[layer] && other != layer))
    say(layer " may not include " other "/: " quoted[2])
}
/^[ \t]*#[ \t]*include.*\.c[">]/ { say("a .c file is included") }
code ~ /(^|[^a-z_])lua_resume[ \t]*\(/ { resumes++; where_resume = where_resume " " FILENAME ":" FNR
  if (FILENAME != "engine/script/task.c") say("lua_resume belongs in engine/script/task.c only") }
code ~ /(^|[^a-z_])(lua_pcallk?|luaL_dostring|luaL_dofile|lua_cpcall)[ \t]*\(/ { pcalls++
  if (FILENAME != "engine/script/vm.c") say("lua_pcall belongs in engine/script/vm.c only") }
code ~ /(^|[^a-z_])(exit|_exit|_Exit|quick_exit)[ \t]*\(/ && FILENAME != "engine/front/main.c" && !allowed() {
  say("only engine/front/main.c ends the process") }
function allowed() {   # a child after fork, the second signal, and programs that only the build runs
  return code ~ /_exit/ && FILENAME ~ /engine\/io\/(child|signals)\.c$/ || FILENAME ~ /_gen\.c$/ }
END {
  if (resumes != 1) { printf "engine: %d calls of lua_resume, expected one\n", resumes; bad++ }
  if (pcalls != 1) { printf "engine: %d calls of lua_pcall, expected one\n", pcalls; bad++ }
  exit bad > 0
}'
