#!/usr/bin/env bash
# NetPIPE, an MPI program that none of us wrote: built from Debian's source package with our mpicc,
# and as Debian has it built for MPICH, run in several of its manners with its own integrity check.
#
#   ci/netpipe.sh PREFIX CACHE     (PREFIX as laid out by cargo xtask install; CACHE keeps the source)
set -u
[ $# -eq 2 ] && [ -x "$1/bin/mpicc" ] || { echo "usage: $0 PREFIX CACHE" >&2; exit 2; }
prefix=$(cd "$1" && pwd) here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2" && cache=$(cd "$2" && pwd) || exit 2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! archive=$("$here/debian-source.sh" netpipe "$2") || ! "$here/debian-package.sh" "$cache" "$folder/package" netpipe-mpich2; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs Debian's packages of NetPIPE" >&2; exit 1; }
    echo "skipped: needs Debian's packages of NetPIPE"
    exit 0
fi

tar xf "$archive" -C "$folder" --strip-components=1 || exit 1
cd "$folder" || exit 1
"$prefix/bin/mpicc" -O2 -w -DMPI src/netpipe.c src/mpi.c -Isrc -o NPmpi || exit 1

mv package/usr/bin/NPmpich2 . || exit 1

passed=0 failed=0
# Each line: the program, settings, then NetPIPE's options. -S synchronous sends, -a receives posted
# early, -z any source, -2 both ways. Any source is -1 for NetPIPE, whatever mpi.h says, which is
# nobody for MPICH: NPmpich2 has no -z.
while read -r program settings options; do
    # shellcheck disable=SC2086 # both are lists of words
    if env ${settings//;/ } LD_LIBRARY_PATH="$prefix/lib" timeout 300 "$prefix/bin/mpiexec" -n 2 "./$program" -i -p 3 -n 20 -u 4194304 $options >log 2>&1 &&
        grep -q 'Integrity check passed' log && ! grep -qiE 'failed|error' log; then
        passed=$((passed + 1))
        echo "ok     $program $settings $options ($(grep -c 'Integrity check passed' log) sizes)"
    else
        failed=$((failed + 1))
        echo "FAILED $program $settings $options"
        tail -n 20 log
    fi
done <<'LIST'
NPmpi FERRITE_CMA=auto
NPmpi FERRITE_CMA=auto -S
NPmpi FERRITE_CMA=auto -a
NPmpi FERRITE_CMA=auto -a -z
NPmpi FERRITE_CMA=auto -z
NPmpi FERRITE_CMA=auto -2 -a
NPmpi FERRITE_CMA=never
NPmpi FERRITE_CMA=never -2 -a
NPmpi FERRITE_EAGER_LIMIT=64;FERRITE_CMA_LIMIT=64 -a
NPmpi FERRITE_TRANSPORT=tcp
NPmpi FERRITE_TRANSPORT=tcp -S
NPmpi FERRITE_TRANSPORT=tcp -a -z
NPmpi FERRITE_TRANSPORT=tcp -2 -a
NPmpi FERRITE_TRANSPORT=tcp;FERRITE_NET_EAGER_LIMIT=64 -a
NPmpich2 FERRITE_CMA=auto
NPmpich2 FERRITE_CMA=auto -2 -a
NPmpich2 FERRITE_TRANSPORT=tcp -2 -a
LIST
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
