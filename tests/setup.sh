#!/bin/bash
# Installs what is missing on a Debian or Ubuntu machine: setup.sh run|test|bench
# Rust is expected to be there; everything else comes from the distribution's packages.
set -euo pipefail

want=${1:-run}
missing=()

# need PROGRAM PACKAGE: the package is installed if the program is not there.
need() {
    command -v "$1" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2")
}

need cc gcc
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
need sudo sudo
need ip iproute2
need nc netcat-openbsd
# The traditional netcat has neither -U nor -N.
if command -v nc >/dev/null && ! nc -h 2>&1 | grep -q -- -U; then missing+=(netcat-openbsd); fi
if [ "$want" != run ]; then
    need jq jq
    need python3 python3
    need ping iputils-ping
    need capinfos wireshark-common
    need tshark tshark
    need ipset ipset
    need tcpdump tcpdump
    need ps procps
    need prlimit util-linux
    need curl curl
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    need protoc protobuf-compiler
    need busybox busybox-static
    need shellcheck shellcheck
    need node nodejs
fi
if [ "$want" = bench ]; then
    need tcpreplay tcpreplay
    need softflowd softflowd
    need ndpiReader libndpi-bin
fi

if [ ${#missing[@]} -gt 0 ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "setup: no apt-get here: install these yourself: ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    for package in "${missing[@]}"; do
        # A peer or a helper that this release lacks is skipped aloud by what would use it.
        $sudo env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
            echo "setup: could not install $package" >&2
    done
fi

# Clients of others that the tests drive, from PyPI, beside what is built.
if [ "$want" != run ]; then
    venv=$(dirname "$0")/../target/venv
    if ! "$venv/bin/python3" -c 'import jsonschema, skydive, websockets' 2>/dev/null; then
        echo "installing: skydive-client, websockets and jsonschema into target/venv"
        mkdir -p "$(dirname "$venv")"
        { python3 -m venv "$venv" &&
            "$venv/bin/pip" install -q --disable-pip-version-check \
                skydive-client==0.10.0 websockets jsonschema; } ||
            echo "setup: could not install skydive-client: its tests are skipped" >&2
    fi
fi

home=$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)
if ! command -v cargo >/dev/null && [ ! -x "$home/.cargo/bin/cargo" ]; then
    echo "setup: Rust is missing: see https://rustup.rs, then try again" >&2
    exit 1
fi
