#!/bin/sh
# Runs the first Python 3 that has pytest: the system's before whatever PATH has. Status 127 when there is none.
for python in /usr/bin/python3 python3 /usr/local/bin/python3 /opt/homebrew/bin/python3; do
  if command -v "$python" > /dev/null 2>&1 &&
    "$python" -c 'import sys, importlib.util as u; sys.exit(not u.find_spec("pytest"))' 2> /dev/null; then
    exec "$python" "$@"
  fi
done
echo "no python3 with pytest: \`make deps\` installs it" >&2
exit 127
