#!/usr/bin/env bash
# MPICH's own test suite, as Debian's source package of MPICH 4.0.2 has it, with our library: every
# test that is not expected to fail passes.
#
#   ci/mpich-suite.sh PREFIX CACHE BUILD [OPTION...]     (PREFIX as laid out by cargo xtask install; CACHE keeps the source)
#
# The options are those of tests/mpich-suite/run. The limit of time for a test is long, as other
# steps may run beside it.
set -u
[ $# -ge 3 ] && [ -x "$1/bin/mpicc" ] || { echo "usage: $0 PREFIX CACHE BUILD [OPTION...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)

if ! archive=$("$here/debian-source.sh" mpich "$2"); then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs Debian's source packages" >&2; exit 1; }
    echo "skipped: needs Debian's source packages"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar xf "$archive" -C "$folder" --strip-components=1 --wildcards '*/test/mpi' || exit 1
# Tests of the tree's own read these; the library does not know them and would say so in the output
# of every test.
unset FERRITE_PEERS FERRITE_MPICH_ABI_H
"$here/../tests/mpich-suite/run" --suite "$folder" --prefix "$1" --build "$3" --limit 600 "${@:4}"
