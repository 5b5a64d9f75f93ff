#!/bin/sh
# tests/demo.sh BINARY: builds examples/flights on its private PostgreSQL and says what to try next. `make demo` runs it.
cd "$(dirname "$0")/.." || exit 2
case $1 in
  /*) binary=$1 ;;
  ?*) binary=$PWD/$1 ;;
  *) echo "usage: tests/demo.sh BINARY" >&2; exit 2 ;;
esac
[ -x "$binary" ] || { echo "tests/demo.sh: there is no $1: run make" >&2; exit 2; }
# The example is the same whatever profile and settings the environment has.
for name in $(env | sed -n 's/^\(DBT_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

cd examples/flights || exit 2
"$binary" build || exit $?
cat << END

That was examples/flights: real flights, airports and wildlife strikes. Its
README.md explains what you saw. What to try next, line by line:

  PATH="${binary%/*}:\$PATH"; cd "$PWD"
  dex-lua show --inline "select species, strikes, total_cost
    from {{ ref('damage_cost_by_species') }} order by total_cost desc"
  dex-lua db psql -- -c 'select relation, rows, seconds from ops.build_log'
  dex-lua operation run maintenance/refresh_indexes
  dex-lua ls -s +strikes_by_airport --resource-type model seed
  dex-lua build --vars '{on_time_minutes: soon}'

The last one fails on purpose: see what it says, and that what it would have
replaced is still there. \`dex-lua db destroy\` deletes the data.
END
