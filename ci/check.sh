#!/usr/bin/env bash
# Everything that must hold before a change goes in. Runs every step even if one fails; the exit
# status is 0 if none did.
#
#   ci/check.sh [STEP...]            only the steps named, one after the other; `ci/check.sh --list` names them
#   ci/check.sh --longer [STEP...]   what is run by hand before a milestone is called done; `--longer --list` names its steps
#
# Without names, two lanes of steps run side by side, then what counts system calls or measures runs
# alone. Every step installs what it needs (apt-get as root, pip, cargo), into the system or into a
# cache folder (CI_CACHE, by default ~/.cache/ferrite-ci). FERRITE_TEST_REQUIRE=all makes a test
# that lacks something fail, FERRITE_TEST_DEPTH=full has the tests go through everything.
# FUZZ_SECONDS is how long each fuzz target runs, 20 by default.
set -u
cd "$(dirname "$0")/.." || exit 1

cache=${CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ferrite-ci}
mkdir -p "$cache" || exit 1
target=${CARGO_TARGET_DIR:-$PWD/target}
prefix=$target/prefix
host=x86_64-unknown-linux-gnu
export FERRITE_TEST_REQUIRE=all FERRITE_TEST_DEPTH=full
export FERRITE_PEERS=$cache/peers
export FERRITE_MPICH_ABI_H=$FERRITE_PEERS/mpich/include/mpi_abi.h

# What the standard toolchain alone does, and the engine's own proofs.
first_lane=(format lints generated dependencies tests lock-order simulator)
# Programs of others, on an optimised prefix; tools that want builds of their own.
second_lane=(install instructions netpipe scalapack mpich-suite rsmpi loom threads addresses fuzz)
# Nothing runs beside these.
alone=(syscalls bench)
longer=(seeds stress fuzz-longer mpi4py mpi4py-wheel mpich-suite-tcp mpich-suite-hosts mpich-suite-threads)

# Installs Debian's packages whose programs are not there: program:package...
needs() {
    local missing=() pair
    for pair in "$@"; do
        # Some are an administrator's, and not in everybody's PATH.
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -eq 0 ] || packages "${missing[@]}"
}

# Installs Debian's packages.
packages() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: $*; installing them needs root and apt-get"
        return 1
    fi
    # Steps of both lanes may come here at once.
    (
        flock 9
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$cache/apt.log" 2>&1 ||
            { tail -n 5 "$cache/apt.log" && exit 1; }
        echo "installed: $*"
    ) 9>"$cache/apt.lock"
}

# MPICH and Intel MPI from PyPI, a Python environment each: their libraries, headers and launchers,
# and Intel's benchmarks, of which one wants Intel's OpenMP.
peers() {
    needs python3:python3 && { python3 -c 'import ensurepip, venv' 2>/dev/null || packages python3-venv; } || return 1
    (
        flock 9
        for pair in mpich:mpich "impi:impi-rt intel-openmp"; do
            read -ra names <<<"${pair##*:}"
            folder=$cache/peers/${pair%%:*} complete=complete-${names[*]}
            [ -f "$folder/${complete// /-}" ] && continue
            rm -rf "$folder"
            mkdir -p "$cache/peers"
            python3 -m venv "$folder" && "$folder/bin/pip" install -q "${names[@]}" && : >"$folder/${complete// /-}" || exit 1
        done
    ) 9>"$cache/peers.lock"
}

compilers() { needs gcc:gcc g++:g++ make:make; }

format() { cargo fmt --all --check; }

lints() { cargo clippy --workspace --all-targets -- -D warnings && RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps; }

generated() { cargo xtask generate --check; }

# Licences, sources and versions of what we depend on, by deny.toml.
dependencies() { cargo test -p ferrite-tests --test architecture dependencies; }

# What whole-program tests run beside compilers: build systems, debuggers, hosts of a lab.
tools() {
    compilers && needs cmake:cmake pkg-config:pkg-config gdb:gdb valgrind:valgrind strace:strace git:git readelf:binutils \
        unshare:util-linux python3:python3 ssh:openssh-client sshd:openssh-server ip:iproute2 nft:nftables awk:mawk pkill:procps \
        hostname:hostname && peers
}

tests() { tools && cargo test --workspace --no-fail-fast; }

# The library with its debug assertions, among them the order of locks, under threads and all
# protocols.
lock-order() {
    tools && cargo xtask install --debug --check --prefix "$target/prefix-debug" &&
        FERRITE_TEST_PREFIX=$target/prefix-debug cargo test -p ferrite-tests --test point_to_point --test objects
}

# The engine and the networks' own suite over many more simulated networks than `tests` has time
# for. Any failure prints its seed.
simulated() {
    FERRITE_TEST_SEEDS=$1 cargo test -p ferrite-engine --lib engine::tests::seeds -- --skip two_networks &&
        FERRITE_TEST_SEEDS=$(($1 / 5)) cargo test -p ferrite-engine --lib engine::tests::seeds::two_networks &&
        FERRITE_TEST_SEEDS=$(($1 / 20)) cargo test -p ferrite-fabric-testing --lib
}

simulator() { simulated 1000; }

loom() {
    CARGO_TARGET_DIR=$target/loom RUSTFLAGS='--cfg loom' cargo test -p ferrite-ring --release --test loom
}

nightly() {
    if cargo +nightly --version >/dev/null 2>&1; then
        return 0
    fi
    echo "needs a nightly toolchain, for the sanitizers"
    return 1
}

threads() {
    nightly || return 1
    CARGO_TARGET_DIR=$target/thread-sanitizer \
        RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg full_fences' \
        cargo +nightly test -p ferrite-ring --target $host --test stress || return 1
    # The engine uses the standard library's locks, which the sanitizer must see, so that is built,
    # too. Not every machine can fetch its sources: only this part is left out there.
    if ! ls "$(rustc +nightly --print sysroot)"/lib/rustlib/src/rust/library/Cargo.lock >/dev/null 2>&1 &&
        ! rustup +nightly component add rust-src; then
        echo "skipped: needs rust-src, the sources of the standard library"
        return 0
    fi
    CARGO_TARGET_DIR=$target/thread-sanitizer-std RUSTFLAGS='-Zsanitizer=thread --cfg full_fences' \
        TSAN_OPTIONS="suppressions=$PWD/ci/thread-sanitizer.supp" \
        cargo +nightly test -Zbuild-std -p ferrite-engine --target $host --lib engine::tests::threads
}

addresses() {
    nightly || return 1
    CARGO_TARGET_DIR=$target/address-sanitizer RUSTFLAGS=-Zsanitizer=address \
        cargo +nightly test -p ferrite-ring --target $host --test stress --test model &&
        # What the engine lends to networks, it must not free too early.
        CARGO_TARGET_DIR=$target/address-sanitizer RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 \
            cargo +nightly test -p ferrite-engine --target $host --lib engine::tests::seeds
}

# Each target for so many seconds. What was found before is in the cache, and so is the corpus.
fuzzed() {
    nightly && compilers || return 1
    command -v cargo-fuzz >/dev/null || cargo install -q cargo-fuzz || return 1
    tests/fuzz/run --seconds "$1" --folder "$cache/fuzz"
}

fuzz() { fuzzed "${FUZZ_SECONDS:-20}"; }

install() { compilers && cargo xtask install --check --prefix "$prefix"; }

instructions() {
    compilers && needs valgrind:valgrind && ci/isend-instructions.sh "$prefix" && ci/api-instructions.sh "$prefix" && ci/abi-instructions.sh "$prefix"
}

syscalls() { needs strace:strace && ci/tcp-syscalls.sh "$prefix"; }

bench() { cargo bench -- --quick; }

suite() { compilers && needs autoreconf:autoconf automake:automake libtoolize:libtool && ci/mpich-suite.sh "$prefix" "$cache/mpich" "$target/mpich-suite" "$@"; }

mpich-suite() { suite; }

rsmpi() {
    compilers && { ls /usr/lib/llvm-*/lib/libclang.so >/dev/null 2>&1 || packages libclang-dev; } &&
        tests/rsmpi/run --prefix "$prefix" --build "$target/rsmpi"
}

netpipe() { ci/netpipe.sh "$prefix" "$cache/netpipe"; }

scalapack() { ci/scalapack.sh "$prefix" "$cache/scalapack"; }

# Longer: what takes too long for every change.

seeds() { simulated 10000; }

stress() { tools && FERRITE_TEST_SECONDS=600 cargo test -p ferrite-tests --test stress; }

fuzz-longer() { fuzzed 600; }

mpi4py() { compilers && needs python3:python3 && tests/mpi4py/run --prefix "$prefix"; }

mpi4py-wheel() { needs python3:python3 && tests/mpi4py/run --prefix "$prefix" --wheel; }

mpich-suite-tcp() { suite --transport tcp --dir pt2pt --dir coll --dir comm --dir datatype; }

mpich-suite-hosts() { tools && suite --hosts 2 --dir pt2pt --dir coll --dir comm --dir datatype; }

# What threads do to each other shows once in many runs, and sooner where they have no processor.
mpich-suite-threads() {
    local busy=() run failed=0
    for run in 1 2; do
        (while :; do :; done) &
        busy+=($!)
    done
    for run in $(seq 25); do
        suite --dir threads || failed=$((failed + 1))
    done
    kill "${busy[@]}"
    echo "the directory of threads failed in $failed of 25 runs"
    [ "$failed" -eq 0 ]
}

everything=("${first_lane[@]}" "${second_lane[@]}" "${alone[@]}")
is_longer=0
if [ "${1:-}" = --longer ]; then
    is_longer=1
    shift
    everything=(install "${longer[@]}")
fi
if [ "${1:-}" = --list ]; then
    printf '%s\n' "${everything[@]}"
    exit 0
fi
for step in "$@"; do
    [[ " ${everything[*]} " == *" $step "* ]] || { echo "ci/check.sh: no step '$step'; there are ${everything[*]}" >&2 && exit 2; }
done

# What each step printed, its outcome and its seconds.
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT

# Steps one after the other. What one prints comes as a whole, so that the lanes do not mix. Every
# step has a shell of its own: what it exports is its own.
lane() {
    local step began outcome
    for step in "$@"; do
        began=$SECONDS outcome=ok
        ("$step") >"$records/$step.log" 2>&1 </dev/null || outcome=FAILED
        printf '%-8s %-20s %5d s\n' "$outcome" "$step" $((SECONDS - began)) >"$records/$step.line"
        {
            flock 9
            printf '\n=== %s\n' "$step"
            cat "$records/$step.log"
            printf -- '--- %s\n' "$(cat "$records/$step.line")"
        } 9>"$records/printing"
    done
}

if [ $# -gt 0 ]; then
    everything=("$@")
    lane "$@"
elif [ $is_longer -eq 1 ]; then
    lane "${everything[@]}"
else
    lane "${first_lane[@]}" &
    lane "${second_lane[@]}" &
    wait
    lane "${alone[@]}"
fi

# The end says again why steps failed, for whoever sees only the last lines.
failed=0
for step in "${everything[@]}"; do
    grep -q '^ok' "$records/$step.line" && continue
    failed=$((failed + 1))
    printf '\n=== why %s failed\n' "$step"
    grep -E -A 6 'panicked at|WARNING: ThreadSanitizer|ERROR: AddressSanitizer|^error|\.\.\. FAILED' "$records/$step.log" | head -n 20
    echo "and last:"
    tail -n 6 "$records/$step.log"
done
printf '\n=== steps and their seconds, on %s processors\n' "$(nproc)"
for step in "${everything[@]}"; do
    cat "$records/$step.line"
done
printf '%d of %d steps failed, %d s\n' "$failed" "${#everything[@]}" "$SECONDS"
[ "$failed" -eq 0 ]
