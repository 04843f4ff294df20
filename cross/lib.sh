# What the scripts of this directory share; sourced in the repository's top directory.
# shellcheck shell=bash disable=SC2034

TOOLS=$PWD/target/cross-tools
RUST_SOURCE=/usr/lib/rustlib/src/rust

die() {
    echo "$*" >&2
    exit 1
}

# The lines of cross/targets, without remarks; all of them or those of some names.
targets() {
    local name
    if [ $# = 0 ] || [ "$*" = all ]; then
        sed 's/#.*//; /^ *$/d' cross/targets
        return
    fi
    for name; do
        sed 's/#.*//' cross/targets | grep "^$name " ||
            die "cross: no target \"$name\" in cross/targets; there are:" "$(targets | cut -d' ' -f1 | xargs)"
    done
}

# by_rustup TRIPLE: whether rustup brought the library for it, with musl in it.
by_rustup() {
    [ "${CROSS_RUSTUP:-yes}" = yes ] && command -v rustup >/dev/null &&
        rustup target list --installed 2>/dev/null | grep -qx "$1"
}

# Whether rustup has every target of $TARGET (all of them if that is not set).
all_by_rustup() {
    local name triple rest
    while read -r name triple rest; do
        by_rustup "$triple" || return
    done < <(targets "${TARGET:-all}")
}
