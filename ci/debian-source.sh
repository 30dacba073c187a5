#!/usr/bin/env bash
# Prints where the upstream archive of a Debian source package is, after fetching it into CACHE if
# it is not there.
#
#   ci/debian-source.sh PACKAGE CACHE
#
# The exit status is 1, with apt-get's last words, if it cannot be had.
set -u
[ $# -eq 2 ] || { echo "usage: $0 PACKAGE CACHE" >&2; exit 2; }
package=$1
mkdir -p "$2" && cache=$(cd "$2" && pwd) || exit 2

archive() { compgen -G "$cache/${package}_*.orig.tar.*z*" | head -n 1; }

# The lists of source packages are kept apart from the system's.
if [ -z "$(archive)" ]; then
    lists=$cache/lists
    mkdir -p "$lists/parts" "$lists/state/partial"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" >"$lists/parts/$(basename "$file")"
    done
    [ -f /etc/apt/sources.list ] && sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$lists/parts/main.list"
    apart=(-o Dir::Etc::sourceparts="$lists/parts" -o Dir::Etc::sourcelist=/dev/null -o Dir::State::lists="$lists/state")
    if ! { apt-get update -q "${apart[@]}" &&
        (cd "$cache" && apt-get source -q --download-only --tar-only "${apart[@]}" "$package"); } >"$cache/log" 2>&1; then
        tail -n 5 "$cache/log" >&2
        exit 1
    fi
fi
archive
