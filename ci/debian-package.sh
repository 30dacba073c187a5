#!/usr/bin/env bash
# Unpacks binary packages of Debian into a folder, without installing them: they would bring another
# MPI.
#
#   ci/debian-package.sh CACHE FOLDER PACKAGE...
#
# CACHE keeps the packages. The exit status is 1, with apt-get's last words, if one cannot be had.
set -u
[ $# -ge 3 ] || { echo "usage: $0 CACHE FOLDER PACKAGE..." >&2; exit 2; }
mkdir -p "$1" "$2" && cache=$(cd "$1" && pwd) && folder=$(cd "$2" && pwd) || exit 2
shift 2

archive() { compgen -G "$cache/$1_*.deb" | head -n 1; }

cd "$cache" || exit 2
for package in "$@"; do
    if [ -z "$(archive "$package")" ] && ! { apt-get download -q "$package" || { apt-get update -q && apt-get download -q "$package"; }; } >log 2>&1; then
        tail -n 5 log >&2
        exit 1
    fi
    dpkg-deb -x "$(archive "$package")" "$folder" || exit 1
done
