#!/usr/bin/env bash
# Counts the system calls of each message of osu_bw over TCP, on both sides.
#
#   ci/tcp-syscalls.sh PREFIX
#
# Runs PREFIX/bin/osu_bw twice under strace, with different numbers of messages, and divides the difference of the calls by
# the difference of the messages, so that start and end of the job do not count. How often a waiting process asks in vain
# depends on how fast the machine is, and strace slows every call: the figures of recv, read and poll are coarse, those of what
# sends are not. Fails where the sender makes more than one sending call for two 1-byte messages: then little is coalesced, or nothing.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1/bin/osu_bw" ]; then
    echo "usage: $0 PREFIX    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
if ! command -v strace >/dev/null; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs strace" >&2; exit 1; }
    echo "skipped: needs strace"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export FERRITE_TRANSPORT=tcp
window=64 few=20 many=220

# run BYTES ITERATIONS: leaves the tables of both ranks in $folder/sender.ITERATIONS and $folder/receiver.ITERATIONS.
run() {
    local job=("$prefix/bin/osu_bw" -m "$1:$1" -i "$2" -x 10 -W "$window")
    if ! "$prefix/bin/mpiexec" \
        -n 1 strace -f -c -o "$folder/sender.$2" "${job[@]}" : \
        -n 1 strace -f -c -o "$folder/receiver.$2" "${job[@]}" >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        echo "$0: osu_bw failed under strace" >&2
        exit 1
    fi
}

# per_message SIDE: "calls name" of the calls of a message, the most frequent first. Columns of strace -c: % time, seconds,
# usecs/call, calls, errors (may be empty), name.
per_message() {
    awk -v messages=$(((many - few) * window)) '
        FNR == 1 { file++ }
        $1 ~ /^[0-9.]+$/ && $NF != "total" { calls[$NF] += (file == 1 ? -$4 : $4) }
        END {
            for (name in calls) {
                each = calls[name] / messages
                all += each
                if (name ~ /^(write|writev|send|sendto|sendmsg|sendmmsg)$/) { sending += each }
                if (each >= 0.001) { printf "%.3f %s\n", each, name }
            }
            printf "%.3f total\n%.3f sending\n", all, sending
        }' "$folder/$1.$few" "$folder/$1.$many" | sort -rn
}

for bytes in 1 65536; do
    run "$bytes" $few
    run "$bytes" $many
    for side in sender receiver; do
        per_message "$side" >"$folder/table"
        awk -v bytes="$bytes" -v side="$side" '
            $2 == "total" { total = $1 }
            $2 == "sending" { sending = $1 }
            $2 != "total" && $2 != "sending" { list = list (list == "" ? "" : ", ") $2 " " $1 }
            END { printf "osu_bw, %d bytes, %s: %s system calls a message, %s of them send (%s)\n", bytes, side, total, sending, list }
        ' "$folder/table"
        if [ "$bytes $side" = "1 sender" ]; then
            awk '$2 == "sending" && ($1 > 0.5 || $1 <= 0) { bad = 1 } END { exit bad }' "$folder/table" || uncoalesced=yes
        fi
    done
done
if [ "${uncoalesced:-}" = yes ]; then
    echo "$0: the sender does not coalesce 1-byte messages, or sends them by calls that this script does not know" >&2
    exit 1
fi
