#!/bin/bash
# Installs what cross builds need on a clean Debian or Ubuntu machine: setup.sh [build|run|arm]...
#   build   compiler with its library source, and zig as linker and C library for every target
#   run     emulators of other processors, to try what was built
#   arm     the ARM machines of `make test-arm`
# Compiler and emulators come from the distribution, zig and cargo-zigbuild from PyPI into
# target/cross-tools. Where rustup has the musl library of every target, no compiler is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
source cross/lib.sh

# 0.17 lacks symbols that the C library of mips wants: the version is fixed.
zig=ziglang==0.14.1
zigbuild=cargo-zigbuild==0.24.0
missing=()

main() {
    local what
    [ $# -gt 0 ] || set -- build run
    for what; do
        case $what in
        build) build ;;
        run) run ;;
        arm) arm ;;
        *) die "setup: what is \"$what\"? build, run or arm" ;;
        esac
    done
    install
    [[ " $* " != *" build "* ]] || tools
}

build() {
    need python3 python3
    if ! all_by_rustup; then
        is_recent || missing+=(rustc-web cargo-web)
        [ -d "$RUST_SOURCE/library/std" ] || missing+=(rust-web-src)
        python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
        need cc gcc # build scripts and macros of the libraries run on this machine
        [ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
    fi
}

# Whether the distribution's compiler is there and not older than this program asks for.
is_recent() {
    local wanted have
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] || return 1
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    have=$(/usr/bin/rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

run() {
    need qemu-arm-static qemu-user-static
}

arm() {
    need qemu-system-arm qemu-system-arm
    need cpio cpio
    need gzip gzip
}

# need PROGRAM PACKAGE: the package is installed if the program is not there.
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}

install() {
    [ ${#missing[@]} -gt 0 ] || return 0
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing: ${missing[*]}"
    command -v apt-get >/dev/null ||
        die "setup: no apt-get here: install these yourself: ${missing[*]}"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        die "setup: could not install ${missing[*]}: see what apt-get says above"
}

tools() {
    all_by_rustup && return
    [ -x "$TOOLS/bin/cargo-zigbuild" ] && "$TOOLS/bin/python3" -c 'import ziglang' 2>/dev/null &&
        return
    echo "installing: $zig and $zigbuild into target/cross-tools"
    python3 -m venv "$TOOLS"
    "$TOOLS/bin/pip" install -q --disable-pip-version-check "$zig" "$zigbuild" ||
        die "setup: could not install zig: see what pip says above"
}

main "$@"
