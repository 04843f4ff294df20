#!/usr/bin/env python3
"""Boots Debian's kernel on an emulated ARM machine, runs one script in it and exits with its status.

  machine.py arm64|armhf --home DIR --script FILE [--module NAME]... [--file FROM:TO[:MODE]]...
             [--word WORD]... [--tftp DIR] [--date 2038-01-19T03:13:50] [--limit SECONDS] [--log FILE]
             [--count]

DIR is what fetch.sh made. The machine has a network card at a network of its own, which ends in the
emulator: 10.0.2.2 answers pings and, with --tftp, hands out files; nothing leaves it. With --count
its clock counts instructions, a nanosecond each, so that times don't depend on the machine that
emulates. Status 124 is a time limit, 125 a machine that stopped without a result.
"""

import argparse
import glob
import gzip
import io
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from elf import Elf  # noqa: E402

MACHINES = {
    "arm64": ("qemu-system-aarch64", "virt", "cortex-a53", ("aarch64", True)),
    # Kernels without large physical addresses want the card's window below 4 GiB.
    "armhf": ("qemu-system-arm", "virt,highmem=off", "cortex-a15", ("arm", False)),
}
MEMORY = "256"

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/bin HOME=/tmp TERM=dumb
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o noatime tmp /tmp
# A busybox with 32-bit seconds can't look at a program that was run after 2038.
mount -o remount,noatime /
mkdir -p /tmp/run; ln -sfn tmp/run /run; ln -sfn ../tmp /var
for module in $(cat /lib/m/order); do
    insmod "/lib/m/$module.ko" || echo "machine: insmod $module failed"
done
ip link set lo up
echo "machine: start kernel=$(uname -r) machine=$(uname -m) uptime=$(cut -d' ' -f1 /proc/uptime)"
(cd /tmp && exec /bin/sh /test WORDS)
echo "machine: result $? uptime=$(cut -d' ' -f1 /proc/uptime)"
poweroff -f
"""


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "initramfs")
        with open(image, "wb") as file:
            file.write(gzip.compress(initramfs(arguments), 1))
        sys.exit(boot(arguments, image))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arch", choices=MACHINES)
    parser.add_argument("--home", required=True)
    parser.add_argument("--script", required=True)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--word", action="append", default=[])
    parser.add_argument("--tftp")
    parser.add_argument("--date")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--log")
    parser.add_argument("--count", action="store_true")
    return parser.parse_args()


# ---- What it boots from ------------------------------------------------------------------------


class Archive:
    """A cpio archive of the kind that kernels unpack (newc); owned by root whoever makes it."""

    def __init__(self):
        self.out, self.inode, self.folders = io.BytesIO(), 0, set()

    def folder(self, path):
        path = path.strip("/")
        if path and path not in self.folders:
            self.folder(os.path.dirname(path))
            self.folders.add(path)
            self._entry(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path, data, mode=0o755):
        self.folder(os.path.dirname(path))
        self._entry(path.strip("/"), stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self._entry(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def finish(self):
        self._entry("TRAILER!!!", 0, b"")
        return self.out.getvalue()

    def _entry(self, path, mode, data):
        self.inode += 1
        name = path.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        self.out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + name)
        self.out.write(bytes(-self.out.tell() % 4) + data)
        self.out.write(bytes(-self.out.tell() % 4))


def initramfs(arguments):
    archive = Archive()
    for path in ("dev", "proc", "sys", "tmp", "etc", "root"):
        archive.folder(path)
    busybox = os.path.join(arguments.home, "busybox", "bin", "busybox")
    archive.file("bin/busybox", program(busybox, arguments.arch))
    archive.link("bin/sh", "busybox")
    archive.file("init", INIT.replace("WORDS", " ".join(arguments.word)).encode())
    with open(arguments.script, "rb") as file:
        archive.file("test", file.read())
    for text in arguments.file:
        source, place, *mode = text.split(":")
        archive.file(place, program(source, arguments.arch), int(mode[0], 8) if mode else 0o755)
    modules = Modules(arguments.home)
    for name in arguments.module:
        modules.add(name)
    for name, data in modules.order.items():
        archive.file(f"lib/m/{name}.ko", data, 0o644)
    archive.file("lib/m/order", "".join(f"{name}\n" for name in modules.order).encode(), 0o644)
    return archive.finish()


def program(path, arch):
    """The bytes of a file; a program of another architecture is refused."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\x7fELF":
        elf = Elf(path)
        if (elf.machine, elf.is_64) != MACHINES[arch][3]:
            sys.exit(f"machine: {path} is for {elf.machine}, not for {arch}")
    return data


class Modules:
    """Kernel modules and what they need, in an order in which they can be loaded."""

    def __init__(self, home):
        roots = glob.glob(os.path.join(home, "kernel", "lib", "modules", "*"))
        if not roots:
            sys.exit(f"machine: no kernel in {home}: cross/arm/fetch.sh gets one")
        self.paths, self.order = {}, {}
        for folder, _, names in os.walk(roots[0]):
            for name in names:
                if found := re.fullmatch(r"(.+)\.ko(\.xz)?", name):
                    self.paths[found[1].replace("-", "_")] = os.path.join(folder, name)
        with open(os.path.join(roots[0], "modules.builtin")) as file:
            self.built_in = {os.path.basename(line.strip())[:-3].replace("-", "_") for line in file}

    def add(self, name):
        name = name.replace("-", "_")
        if name in self.order or name in self.built_in:
            return
        if name not in self.paths:
            sys.exit(f"machine: this kernel has no module {name}")
        with open(self.paths[name], "rb") as file:
            data = file.read()
        if self.paths[name].endswith(".xz"):
            data = lzma.decompress(data)
        # "depends" names the owners of symbols, "softdep" what is asked for only at run time.
        for needed in re.findall(rb"\0depends=([^\0]+)", data):
            for other in needed.decode().split(","):
                self.add(other)
        for needed in re.findall(rb"\0softdep=pre: ([^\0]+)", data):
            for other in needed.decode().split():
                generic = f"{other}_generic".replace("-", "_")
                if other.replace("-", "_") in self.paths:
                    self.add(other)
                elif generic in self.paths:
                    self.add(generic)
        self.order[name] = data


# ---- Running it --------------------------------------------------------------------------------


def boot(arguments, image):
    emulator, machine, cpu, _ = MACHINES[arguments.arch]
    if shutil.which(emulator) is None:
        sys.exit(f"machine: {emulator} is not installed: cross/setup.sh arm")
    kernel = glob.glob(os.path.join(arguments.home, "kernel", "boot", "vmlinuz-*"))[0]
    network = "user,id=net,restrict=on"
    if arguments.tftp:
        network += f",tftp={arguments.tftp}"
    command = [emulator, "-M", machine, "-cpu", cpu, "-m", MEMORY, "-accel", "tcg", "-nographic",
               "-no-reboot", "-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=",
               "-rtc", f"base={arguments.date or 'utc'}",
               "-kernel", kernel, "-initrd", image,
               "-append", "console=ttyAMA0 loglevel=4 panic=-1 rdinit=/init"]
    if arguments.count:
        command += ["-icount", "shift=0,sleep=off"]
    log = open(arguments.log or os.devnull, "w")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
    late = threading.Event()
    timer = threading.Timer(arguments.limit, lambda: (late.set(), child.kill()))
    timer.start()
    result = None
    for line in child.stdout:
        line = line.rstrip("\r\n")
        print(line, flush=True)
        print(line, file=log, flush=True)
        if found := re.match(r"machine: result (\d+)", line):
            result = int(found[1])
    child.wait()
    timer.cancel()
    if result is not None:
        return result
    print(f"machine: {'time limit' if late.is_set() else 'stopped without a result'}", file=log)
    print(f"machine: {arguments.arch} " +
          (f"did not end within {arguments.limit} s" if late.is_set() else
           f"stopped without a result (status {child.returncode})"), file=sys.stderr)
    return 124 if late.is_set() else 125


if __name__ == "__main__":
    main()
