#!/usr/bin/env bash
# tests/bench/page.sh BINARY: how soon the lineage of 2,000 and of 10,000 nodes can be used in Chromium, and how it moves.
# Left out, with a word, where there is no Chromium that can be driven: `tests/deps.sh browser` installs it.
cd "$(dirname "$0")/../.." || exit 2
exec tests/python.sh tests/bench/page.py "${1:?usage: tests/bench/page.sh BINARY}"
