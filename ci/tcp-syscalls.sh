#!/usr/bin/env bash
# Counts the system calls that move messages over TCP, in osu_bw between two processes, per message.
#
#   ci/tcp-syscalls.sh PREFIX
#
# Short messages must go many to a call, long ones with not more than one or two: fails when that
# breaks. The limits are generous, for how much one call finds to move depends on the machine; but
# what is counted are calls, not time. Calls that moved nothing (a poll of an empty socket) and
# those that wait are not counted.
set -euo pipefail

warmup=20 window=64
if [ $# -ne 1 ] || [ ! -x "$1/bin/osu_bw" ]; then
    echo "usage: $0 PREFIX    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
if ! strace -o /dev/null true 2>/dev/null; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs strace, and permission to trace" >&2; exit 1; }
    echo "skipped: needs strace, and permission to trace"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export FERRITE_TRANSPORT=tcp

# moved NAME FILE: the calls of these names (a pattern) in a table of strace -c that did not fail.
moved() {
    awk -v names="^($1)\$" '$NF ~ names { calls += $4 - (NF == 6 ? $5 : 0) } END { print calls + 0 }' "$2"
}

# judge WHAT CALLS MESSAGES LEAST LIMIT: from LEAST to LIMIT calls a message. Fewer are those of the
# job's start only, and the messages went elsewhere.
judge() {
    awk -v what="$1" -v calls="$2" -v messages="$3" -v least="$4" -v limit="$5" 'BEGIN {
        each = calls / messages
        printf "%s: %.3f calls a message (%d for %d messages); %s to %s\n", what, each, calls, messages, least, limit
        exit each < least || each > limit
    }'
}

# count BYTES ITERATIONS LEAST SENDS LEAST RECEIVES: messages of these bytes, and the bounds of
# calls a message.
count() {
    local bytes=$1 iterations=$2 messages=$((($2 + warmup) * window)) failed=0
    local program=("$prefix/bin/osu_bw" -m "$bytes:$bytes" -i "$iterations" -x "$warmup" -W "$window")
    if ! "$prefix/bin/mpiexec" -n 1 strace -f -c -o "$folder/sender" "${program[@]}" : \
        -n 1 strace -f -c -o "$folder/receiver" "${program[@]}" >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        echo "$0: osu_bw failed" >&2
        return 1
    fi
    judge "$bytes bytes, sending" "$(moved 'sendto|sendmsg|sendmmsg|writev' "$folder/sender")" "$messages" "$3" "$4" || failed=1
    judge "$bytes bytes, receiving" "$(moved 'recvfrom|recvmsg|recvmmsg|readv' "$folder/receiver")" "$messages" "$5" "$6" || failed=1
    if [ "$failed" -ne 0 ]; then
        head -n 12 "$folder/sender" "$folder/receiver" >&2
        echo "$0: too many calls, or so few that the messages did not go over TCP" >&2
    fi
    return "$failed"
}

failed=0
count 1 200 0.005 0.2 0.005 0.2 || failed=1
# Long ones of a burst leave four at a time.
count 65536 50 0.1 2 0.5 6 || failed=1
exit "$failed"
