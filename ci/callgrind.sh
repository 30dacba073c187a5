# Sourced: counts instructions of a function of an MPI library. Wants $prefix, and $folder for what
# lies in between. Ends the script where there is no valgrind.

if ! command -v valgrind >/dev/null; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs valgrind" >&2; exit 1; }
    echo "skipped: needs valgrind"
    exit 0
fi

address() { nm -D "$2" | awk -v name="$1" '$3 == name { print $1 }'; }

# instructions_of_rank_0 FUNCTION LIBRARY PROGRAM ARGUMENTS...: prints the instructions in all calls
# of the function on rank 0 of two, and how many calls that were.
instructions_of_rank_0() {
    local function=$1 library=$2 program=$3 toggles
    shift 3
    # A toggle flips at every function entered that has its name. Where MPI_X is a second name of
    # PMPI_X's address, callgrind knows that address by one of the names, we cannot say which:
    # toggle on both. Where it is a function that jumps to PMPI_X, both would be entered in one
    # call, and two flips cancel out: toggle on the outer one.
    toggles=("--toggle-collect=$function")
    [ "$(address "$function" "$library")" != "$(address "P$function" "$library")" ] || toggles+=("--toggle-collect=P$function")
    if ! "$prefix/bin/mpiexec" \
        -n 1 valgrind --tool=callgrind --callgrind-out-file="$folder/profile" --collect-atstart=no "${toggles[@]}" \
        "$program" "$@" : -n 1 "$program" "$@" >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        echo "$0: ${program##*/} failed" >&2
        return 1
    fi
    # Names stand beside their number "(n)" once, and are left out later. Calls from one name to the
    # other are one call.
    awk -v wanted="^P?$function\$" '
        function name(text,   id) {
            id = text; sub(/\).*/, ")", id)
            if (text ~ /\) /) { names[id] = text; sub(/^[^)]*\) /, "", names[id]) }
            return names[id]
        }
        /^c?fn=/ { found = name(substr($0, index($0, "=") + 1)); if (/^fn=/) { caller = found } else { callee = found } }
        /^calls=/ && callee ~ wanted && caller !~ wanted { split($1, part, "="); calls += part[2] }
        /^totals:/ { total = $2 }
        END { print total + 0, calls + 0 }' "$folder/profile"
}
