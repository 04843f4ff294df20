#!/bin/bash
# Builds the static binaries for routers: build.sh [--mini|--both] [NAME...|all]
# NAME is one of cross/targets. The binary lands in target/cross/NAME/portolan, with --mini in
# portolan-mini, stripped; beside it the same with its symbols, for `make size`.
#
# Where rustup has a target's library, its toolchain builds and links. Elsewhere the compiler of
# Debian builds the library from its source as well, and zig is linker and C library; that needs
# no download of a target and leaves out the library's backtraces: half of a small program.
# CROSS_RUSTUP=no takes the second way even if the first is open.
set -euo pipefail
cd "$(dirname "$0")/.."
source cross/lib.sh

# For all targets and both ways. Where it was measured alone, what a flag saves of armv7's binary is
# beside it, in kB.
COMMON_FLAGS=(
    -C force-unwind-tables=no # a panic aborts: nobody reads the tables
    -Zfmt-debug=none          # 27: nothing for people is written by Debug. Places in the source
                              # stay: the log counts its lines by them
    # Functions of the loop do not all end up in one, whose stack of kilobytes each access then has
    # to reach across.
    -C llvm-args=-inline-max-stacksize=256
    "--cfg=sha2_backend_soft=\"compact\"" # 7: loops instead of straight lines
)
# For all targets where the library is built from source.
STD_FLAGS=(
    -C link-self-contained=no
    -Zunstable-options -C panic=immediate-abort # a panic ends the program without a message
    -C "link-arg=$PWD/cross/no-unwind.s"        # 24: see there
)
STD_FEATURES=optimize_for_size

# Flags of one target.
target_flags() {
    # What several functions do alike becomes a function of its own. Once: with LLVM 22's
    # -machine-outliner-reruns=3 `portolan read` of armv7 ends in a segmentation fault.
    local alike="-C llvm-args=-enable-machine-outliner=always"
    case $1 in
    # Half the width an instruction: a third of the text less. What zig links for ARM is no
    # position-independent program anyhow, so its code need not be either: no randomness is lost.
    armv7*) echo -C target-feature=+thumb-mode -C relocation-model=static "$alike" ;;
    armv6) echo -C relocation-model=static "$alike" ;;
    # Not i686: there LLVM can't write the library's own arithmetic then.
    aarch64 | riscv64 | x86_64) echo "$alike" ;;
    esac
}

BUILD=$PWD/target/cross-build
VARIANTS=(portolan)

main() {
    local line
    case ${1:-} in
    --mini) VARIANTS=(portolan-mini) && shift ;;
    --both) VARIANTS=(portolan portolan-mini) && shift ;;
    -*) die "build: unknown option $1: --mini and --both are known" ;;
    esac
    targets "$@" >/dev/null
    while read -r line; do
        for variant in "${VARIANTS[@]}"; do
            # shellcheck disable=SC2086
            build "$variant" $line </dev/null
        done
    done < <(targets "$@")
}

# build VARIANT NAME TRIPLE EMULATOR BUDGET ...
build() {
    local variant=$1 name=$2 triple=$3 budget=$5 out=target/cross/$2 features=()
    local flags=("${COMMON_FLAGS[@]}")
    [ "$variant" = portolan ] || features=(--no-default-features)
    # shellcheck disable=SC2207
    flags+=($(target_flags "$name"))
    echo "$name: building $variant for $triple"
    if by_rustup "$triple"; then
        with_rustup "$triple" "${features[@]}"
    else
        with_zig "$triple" "${features[@]}"
    fi
    mkdir -p "$out"
    cp "$BUILD/$triple/router/portolan" "$out/$variant.unstripped"
    python3 cross/elf.py strip "$out/$variant.unstripped" "$out/$variant"
    ! grep -aqF -e "$PWD" -e "${CARGO_HOME:-$HOME/.cargo}" "$out/$variant" ||
        die "build: $out/$variant holds paths of this machine"
    echo "$name: $out/$variant: $(stat -c %s "$out/$variant") bytes (budget $budget)"
}

with_rustup() {
    local triple=$1
    shift
    local linker
    linker=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")_LINKER
    remap "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)/lib/rustlib/src/rust"
    run env "$linker=rust-lld" cargo build --locked --profile router --target "$triple" "$@"
}

with_zig() {
    local triple=$1
    shift
    if [ ! -x "$TOOLS/bin/cargo-zigbuild" ] || [ ! -x /usr/bin/rustc ] ||
        [ ! -d "$RUST_SOURCE/library" ]; then
        die "build: the cross compiler is not installed: cross/setup.sh build"
    fi
    flags+=("${STD_FLAGS[@]}")
    export PATH=/usr/bin:$TOOLS/bin:$PATH RUSTC=/usr/bin/rustc CARGO=/usr/bin/cargo
    export CARGO_ZIGBUILD_PYTHON_PATH=$TOOLS/bin/python3
    export CARGO_ZIGBUILD_CACHE_DIR=$BUILD/zig
    unset CARGO_ZIGBUILD_ZIG_PATH
    [[ $triple != armv7* ]] || export CARGO_ZIGBUILD_ZIG_PATH=$PWD/cross/zig-thumb # 8 kB
    remap "${CARGO_HOME:-$HOME/.cargo}" "$RUST_SOURCE"
    run cargo-zigbuild zigbuild --locked --profile router --target "$triple" \
        -Zbuild-std=std,panic_abort "-Zbuild-std-features=$STD_FEATURES" "$@"
}

# remap CARGO_HOME RUST_SOURCE: no path of the machine that builds stays in messages, so that two
# machines build the same bytes.
remap() {
    local crates
    "${CARGO:-cargo}" fetch --locked --quiet
    flags+=("--remap-path-prefix=$1=cargo")
    for crates in "$1"/registry/src/*/; do
        flags+=("--remap-path-prefix=${crates%/}=crates")
    done
    flags+=("--remap-path-prefix=$2=rust" "--remap-path-prefix=$PWD=portolan")
}

run() {
    local IFS=$'\x1f'
    CARGO_ENCODED_RUSTFLAGS="${flags[*]}" RUSTFLAGS='' RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$BUILD \
        CARGO_INCREMENTAL=0 CARGO_PROFILE_ROUTER_STRIP=none "$@"
}

main "$@"
exit
