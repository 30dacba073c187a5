#!/bin/bash
# What a rank occupies, as a table in Markdown, after collectives and messages: address space,
# memory, its share of memory (PSS), the most of all ranks; what mlockall locks in rank 0; the core
# that a rank leaves which aborts (where cores are files in the current folder), and how long the
# job takes in which it does.
#
#     ci/memory.sh PREFIX [RANKS...]        2, 64 and 256 ranks by default
set -euo pipefail
prefix=$(realpath "$1")
shift
source=$(realpath "$(dirname "$0")/../tests/c/limits.c")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$prefix/bin/mpicc" -O1 -o limits "$source"
ulimit -c unlimited || true

mib() {
    awk -v kib="$1" 'BEGIN { print kib < 0 ? "refused" : sprintf("%.1f", kib / 1024) }'
}

echo "| ranks | VSZ, MiB | RSS, MiB | PSS, MiB | locked, MiB | core, MiB | until the job has ended, s |"
echo "|---|---|---|---|---|---|---|"
[ $# -gt 0 ] || set -- 2 64 256
for ranks in "$@"; do
    read -r _ vsz rss pss locked < <("$prefix/bin/mpiexec" -n "$ranks" ./limits usage | grep ^usage)
    start=$EPOCHREALTIME
    "$prefix/bin/mpiexec" -n "$ranks" ./limits abort >/dev/null 2>&1 || true
    seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
    core=$(find . -name 'core*' -printf '%s\n' | sort -n | tail -n 1)
    rm -f core*
    echo "| $ranks | $(mib "$vsz") | $(mib "$rss") | $(mib "$pss") | $(mib "$locked") |" \
        "$([ -n "$core" ] && mib $((core / 1024)) || echo none) | $seconds |"
done
