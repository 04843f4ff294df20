#!/bin/bash
# Fetches Debian's kernel and static busybox of an ARM architecture: fetch.sh arm64|armhf
# They land in target/arm/ARCH/{kernel,busybox}, unpacked; nothing is installed and this machine's
# list of architectures stays as it is. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/../.."

arch=${1:?arm64 or armhf}
case $arch in
arm64) kernel=linux-image-arm64 ;;
armhf) kernel=linux-image-armmp ;;
*) echo "fetch: arm64 or armhf, not \"$arch\"" >&2 && exit 2 ;;
esac
home=$PWD/target/arm/$arch
if [ -d "$home/kernel/boot" ] && [ -x "$home/busybox/bin/busybox" ]; then
    exit 0
fi

# A package manager for the other architecture, with files of its own.
mkdir -p "$home/apt/lists/partial" "$home/apt/cache/archives/partial"
options=(-q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
    -o "Dir::State=$home/apt" -o "Dir::State::lists=$home/apt/lists"
    -o "Dir::State::status=/dev/null" -o "Dir::Cache=$home/apt/cache"
    -o "Acquire::Languages=none" -o "APT::Sandbox::User=" -o "Debug::NoLocking=1")
echo "fetching: Debian's kernel and busybox for $arch into target/arm/$arch"
apt-get "${options[@]}" update -q >/dev/null ||
    echo "fetch: not every list of packages could be had: going on with the others" >&2
image=$(apt-cache "${options[@]}" depends "$kernel" | awk '/Depends: linux-image/ {print $2; exit}')
[ -n "$image" ] || {
    echo "fetch: the package sources of this machine have no $kernel for $arch: Debian's have" >&2
    exit 1
}
(cd "$home/apt" && rm -f ./*.deb && apt-get "${options[@]}" download "$image" busybox-static)
rm -rf "$home/kernel" "$home/busybox"
dpkg-deb -x "$home"/apt/linux-image-*.deb "$home/kernel.part"
dpkg-deb -x "$home"/apt/busybox-static_*.deb "$home/busybox"
rm -f "$home"/apt/*.deb
mv "$home/kernel.part" "$home/kernel"
