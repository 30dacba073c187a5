#!/usr/bin/env bash
# NetPIPE, an MPI program that none of us wrote: built from Debian's source package with our mpicc, run in several of its
# manners with its own integrity check.
#
#   ci/netpipe.sh PREFIX CACHE     (PREFIX as laid out by cargo xtask install; CACHE keeps the source)
set -u
[ $# -eq 2 ] && [ -x "$1/bin/mpicc" ] || { echo "usage: $0 PREFIX CACHE" >&2; exit 2; }
prefix=$(cd "$1" && pwd)

if ! archive=$("$(dirname "$0")/debian-source.sh" netpipe "$2"); then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs Debian's source packages" >&2; exit 1; }
    echo "skipped: needs Debian's source packages"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar xf "$archive" -C "$folder" --strip-components=1 || exit 1
cd "$folder" || exit 1
"$prefix/bin/mpicc" -O2 -w -DMPI src/netpipe.c src/mpi.c -Isrc -o NPmpi || exit 1

passed=0 failed=0
# Each line: settings, then NetPIPE's options. -S synchronous sends, -a receives posted early, -z any source, -2 both ways.
while read -r settings options; do
    # shellcheck disable=SC2086 # both are lists of words
    if env ${settings//;/ } timeout 300 "$prefix/bin/mpiexec" -n 2 ./NPmpi -i -p 3 -n 20 -u 4194304 $options >log 2>&1 &&
        grep -q 'Integrity check passed' log && ! grep -qiE 'failed|error' log; then
        passed=$((passed + 1))
        echo "ok     $settings $options ($(grep -c 'Integrity check passed' log) sizes)"
    else
        failed=$((failed + 1))
        echo "FAILED $settings $options"
        tail -n 20 log
    fi
done <<'LIST'
FERRITE_CMA=auto
FERRITE_CMA=auto -S
FERRITE_CMA=auto -a
FERRITE_CMA=auto -a -z
FERRITE_CMA=auto -z
FERRITE_CMA=auto -2 -a
FERRITE_CMA=never
FERRITE_CMA=never -2 -a
FERRITE_EAGER_LIMIT=64;FERRITE_CMA_LIMIT=64 -a
FERRITE_TRANSPORT=tcp
FERRITE_TRANSPORT=tcp -S
FERRITE_TRANSPORT=tcp -a -z
FERRITE_TRANSPORT=tcp -2 -a
FERRITE_TRANSPORT=tcp;FERRITE_NET_EAGER_LIMIT=64 -a
LIST
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
