#!/bin/sh
# Checks sizes: files of at most 600 lines, C functions of at most 80. Prints file:line of whatever is longer. (The
# length of lines is clang-format's and luacheck's business.)
cd "$(dirname "$0")/../.." || exit 2

find engine lua stdlib -type f | sort | xargs awk '
function say(line, what) { printf "%s:%d: %s\n", file, line, what; bad++ }
function end_file() { if (lines > 600) say(601, lines " lines in a file, at most 600") }
FNR == 1 { end_file(); file = FILENAME; start = 0 }
{ lines = FNR }
file ~ /\.c$/ && /^\{/ { start = FNR }
file ~ /\.c$/ && /^\}/ && start {
  if (FNR - start - 1 > 80) say(start, FNR - start - 1 " lines in a function, at most 80")
  start = 0
}
END { end_file(); exit bad > 0 }'
