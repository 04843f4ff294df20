#!/bin/bash
# Tries the binaries of routers on kernels of their own: test.sh [arm64|armhf|2038|count]...
#   arm64, armhf   a router with a bridge, an uplink and a card, on 64 and 32 bits
#   2038           the 32-bit one with its clock short of 2038-01-19T03:14:07
#   count          what a start takes in instructions: told, not judged
# Everything under emulation, without root and without a network; minutes. What the machines say is
# kept in target/arm/*.log. A binary that is not there yet is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
source cross/lib.sh

MODULES=(virtio_pci virtio_net veth bridge 8021q dummy bonding)
LIMIT=${LIMIT:-600}
failed=()

main() {
    [ $# -gt 0 ] || set -- arm64 armhf 2038 count
    mkdir -p target/arm/files
    head -c 51200 /dev/zero >target/arm/files/file
    for part; do
        case $part in
        arm64) try arm64 arm64 aarch64 router ;;
        armhf) try armhf armhf armv7 router ;;
        2038) try 2038 armhf armv7 rollover --date 2038-01-19T03:13:20 ;;
        count) try count armhf armv7 begin --count ;;
        *) die "test-arm: what is \"$part\"? arm64, armhf, 2038 or count" ;;
        esac
    done
    [ ${#failed[@]} = 0 ] || die "test-arm: failed: ${failed[*]}: see target/arm/*.log"
}

# try NAME ARCHITECTURE TARGET SCRIPT'S-WORD [OPTION...]
try() {
    local name=$1 arch=$2 target=$3 word=$4 options=()
    shift 4
    [ -x "target/cross/$target/portolan" ] || cross/build.sh "$target"
    cross/arm/fetch.sh "$arch"
    for module in "${MODULES[@]}"; do
        options+=(--module "$module")
    done
    echo "== $name"
    cross/arm/machine.py "$arch" --home "target/arm/$arch" --script cross/arm/inside.sh \
        --word "$word" --file "target/cross/$target/portolan:/usr/sbin/portolan" \
        --tftp "$PWD/target/arm/files" --limit "$LIMIT" --log "target/arm/$name.log" \
        "${options[@]}" "$@" || failed+=("$name")
}

main "$@"
