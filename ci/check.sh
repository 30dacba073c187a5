#!/usr/bin/env bash
# Everything that must hold before a change goes in. Runs every step even if one fails; the exit status is 0 if none did.
#
#   ci/check.sh [STEP...]     only the steps named; `ci/check.sh --list` names them
#
# Installs what the steps need where it can (apt-get as root, pip), into the system and into a cache folder
# (CI_CACHE, by default ~/.cache/ferrite-ci). FERRITE_TEST_REQUIRE=all makes a test that lacks something fail. OSU_SUITE names a
# folder with the sources of the OSU micro-benchmarks 7.4; without it that step says that it is skipped. FUZZ_SECONDS is how long each
# fuzz target runs, 20 by default.
set -u
cd "$(dirname "$0")/.." || exit 1

cache=${CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ferrite-ci}
mkdir -p "$cache" || exit 1
export FERRITE_TEST_REQUIRE=all
export FERRITE_TEST_SECONDS=${FERRITE_TEST_SECONDS:-60}
target=${CARGO_TARGET_DIR:-$PWD/target}
prefix=$target/prefix
host=x86_64-unknown-linux-gnu

steps=(packages peers format lints generated tests simulator lock-order loom threads addresses fuzz install instructions syscalls netpipe scalapack mpich-suite rsmpi bench osu)

# Programs by the package that has them.
packages() {
    local missing=() pair
    for pair in gcc:gcc g++:g++ make:make cmake:cmake pkg-config:pkg-config gdb:gdb valgrind:valgrind strace:strace git:git \
        autoreconf:autoconf automake:automake libtoolize:libtool readelf:binutils unshare:util-linux python3:python3 \
        ssh:openssh-client sshd:openssh-server ip:iproute2 nft:nftables awk:mawk pkill:procps hostname:hostname; do
        # Some are an administrator's, and not in everybody's PATH.
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    ls /usr/lib/llvm-*/lib/libclang.so >/dev/null 2>&1 || missing+=(libclang-dev)
    for pair in liblapack.so.3:liblapack3 libgfortran.so.5:libgfortran5; do
        PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -q "${pair%%:*}" || missing+=("${pair##*:}")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "nothing is missing"
        return 0
    fi
    echo "missing: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "install them: this needs root and apt-get"
        return 1
    fi
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# MPICH and Intel MPI from PyPI, a Python environment each: their libraries, headers and launchers, and Intel's benchmarks, of which one wants
# Intel's OpenMP.
peers() {
    local pair folder complete packages
    for pair in mpich:mpich "impi:impi-rt intel-openmp"; do
        read -ra packages <<<"${pair##*:}"
        folder=$cache/peers/${pair%%:*} complete=complete-${packages[*]}
        if [ ! -f "$folder/${complete// /-}" ]; then
            rm -rf "$folder"
            mkdir -p "$cache/peers"
            python3 -m venv "$folder" && "$folder/bin/pip" install -q "${packages[@]}" && : >"$folder/${complete// /-}" || return 1
        fi
        echo "$folder: $("$folder/bin/pip" list 2>/dev/null | grep -iE '^(mpich|impi)' | tr -s ' ' | tr '\n' ' ')"
    done
}

format() { cargo fmt --all --check; }

lints() { cargo clippy --workspace --all-targets -- -D warnings; }

generated() { cargo xtask generate --check; }

tests() { cargo test --workspace --no-fail-fast; }

# The engine and the networks' own suite over many more simulated networks than `tests` has time for, optimised for that. Any failure
# prints its seed.
simulator() {
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
    CARGO_TARGET_DIR=$target/simulator FERRITE_TEST_SEEDS=1000 cargo test --release -p ferrite-engine --lib engine::tests::seeds &&
        CARGO_TARGET_DIR=$target/simulator FERRITE_TEST_SEEDS=50 cargo test --release -p ferrite-fabric --lib
}

# The library with its debug assertions, among them the order of locks, under threads and all protocols.
lock-order() {
    cargo xtask install --debug --check --prefix "$target/prefix-debug" &&
        FERRITE_TEST_PREFIX=$target/prefix-debug cargo test -p ferrite-tests --test point_to_point --test objects
}

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
    # The engine uses the standard library's locks, which the sanitizer must see, so that is built, too. Not every machine can fetch
    # its sources: only this part is left out there.
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

# Each target for FUZZ_SECONDS. What was found before is in the cache, and so is the corpus.
fuzz() {
    nightly || return 1
    command -v cargo-fuzz >/dev/null || cargo install -q cargo-fuzz || return 1
    tests/fuzz/run --seconds "${FUZZ_SECONDS:-20}" --folder "$cache/fuzz"
}

install() { cargo xtask install --check --prefix "$prefix"; }

instructions() { ci/isend-instructions.sh "$prefix" && ci/api-instructions.sh "$prefix" && ci/abi-instructions.sh "$prefix"; }

syscalls() { ci/tcp-syscalls.sh "$prefix"; }

bench() { cargo bench -- --quick; }

mpich-suite() { ci/mpich-suite.sh "$prefix" "$cache/mpich" "$target/mpich-suite"; }

rsmpi() { tests/rsmpi/run --prefix "$prefix" --build "$target/rsmpi"; }

netpipe() { ci/netpipe.sh "$prefix" "$cache/netpipe"; }

scalapack() { ci/scalapack.sh "$prefix" "$cache/scalapack"; }

# Not in any registry, so only where somebody has the sources.
osu() {
    if [ -z "${OSU_SUITE:-}" ]; then
        echo "skipped: needs OSU_SUITE, the folder of the OSU micro-benchmarks' sources"
        return 0
    fi
    tests/osu-suite/run --suite "$OSU_SUITE" --prefix "$prefix" &&
        tests/osu-suite/run --suite "$OSU_SUITE" --prefix "$prefix" --transport tcp &&
        tests/osu-suite/run --suite "$OSU_SUITE" --prefix "$prefix" --hosts 2
}

if [ "${1:-}" = --list ]; then
    printf '%s\n' "${steps[@]}"
    exit 0
fi
if [ $# -gt 0 ]; then
    for step in "$@"; do
        [[ " ${steps[*]} " == *" $step "* ]] || { echo "ci/check.sh: no step '$step'; there are ${steps[*]}" >&2 && exit 2; }
    done
    steps=("$@")
fi

export FERRITE_PEERS=$cache/peers
export FERRITE_MPICH_ABI_H=$FERRITE_PEERS/mpich/include/mpi_abi.h

# What each step printed: the end says again why steps failed, for whoever sees only the last lines.
printed=$(mktemp -d)
trap 'rm -rf "$printed"' EXIT

summary=() failed=()
for step in "${steps[@]}"; do
    printf '\n=== %s\n' "$step"
    began=$SECONDS
    # In a shell of its own: what a step exports is its own.
    "$step" 2>&1 | tee "$printed/$step"
    if [ "${PIPESTATUS[0]}" -eq 0 ]; then
        outcome=ok
    else
        outcome=FAILED
        failed+=("$step")
    fi
    line=$(printf '%-8s %-14s %5d s' "$outcome" "$step" $((SECONDS - began)))
    echo "--- $line"
    summary+=("$line")
done

printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
for step in "${failed[@]}"; do
    printf '\n=== why %s failed\n' "$step"
    grep -E -A 6 'panicked at|WARNING: ThreadSanitizer|ERROR: AddressSanitizer|^error|\.\.\. FAILED' "$printed/$step" | head -n 20
    echo "and last:"
    tail -n 6 "$printed/$step"
done
printf '%d of %d steps failed, %d s\n' "${#failed[@]}" "${#steps[@]}" "$SECONDS"
[ ${#failed[@]} -eq 0 ]
