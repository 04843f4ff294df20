#!/usr/bin/env python3
"""Runs the binaries that were built for routers under user-mode emulation.

  check.py [--native PROGRAM] [NAME...]

Each of them says its version, and reads captures of both byte orders with the same output, byte for
byte, as the program of this machine (target/release/portolan by default). What was not built, or
has no emulator here, is skipped aloud; captures of ../shared/pcaps are read, too, where they are.
"""

import argparse
import ipaddress
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from elf import Elf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAPTURES = os.path.join(ROOT, "..", "shared", "pcaps")
LARGEST = 100_000
WAYS = ([], ["--json"], ["--csv"], ["-f", "udp or vlan or ip6"])
BEGAN = 2_208_988_800  # a day of 2040: stamps of a file go to 2106


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--native", default=os.path.join(ROOT, "target/release/portolan"))
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    if not os.access(args.native, os.X_OK):
        sys.exit(f"check: no program of this machine at {args.native}: make build")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        files = made(folder) + found()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            expected = outputs(pool, [args.native], files)
            for name, emulator, program in programs(args.names):
                problems = check(pool, name, emulator, program, files, expected)
                for problem in problems:
                    print(f"{name}: {problem}")
                failed |= bool(problems)
    sys.exit(failed)


def programs(names):
    """Name, emulator and binary of each target that can be tried."""
    with open(os.path.join(ROOT, "cross/targets"), encoding="ascii") as file:
        lines = [line.split("#")[0].split() for line in file]
    for name, _, emulator, *_ in filter(None, lines):
        if names and name not in names:
            continue
        command = shutil.which(f"{emulator}-static") or shutil.which(emulator)
        built = [os.path.join(ROOT, "target/cross", name, kind)
                 for kind in ("portolan", "portolan-mini")]
        built = [path for path in built if os.path.exists(path)]
        if not built:
            print(f"{name}: skipped: not built (cross/build.sh {name})")
        elif not command:
            print(f"{name}: skipped: {emulator} is not installed (cross/setup.sh run)")
        else:
            yield from ((name, command, path) for path in built)


def check(pool, name, emulator, program, files, expected):
    kind = os.path.basename(program)
    problems = []
    if not Elf(program).is_static:
        problems.append(f"{kind} is not static")
    version = subprocess.run([emulator, program, "--version"], capture_output=True, timeout=60)
    if version.returncode or not version.stdout.startswith(b"portolan "):
        problems.append(f"{kind} --version: {version.returncode}: {version.stdout + version.stderr}")
        return problems
    got = outputs(pool, [emulator, program], files)
    for key, output in expected.items():
        if got[key] != output:
            path, way = key
            problems.append(f"{kind} read {' '.join(way)} {os.path.basename(path)}: "
                            + difference(output, got[key]))
    if not problems:
        print(f"{name}: {kind}: {len(files)} captures read as on this machine")
    return problems


def difference(expected, got):
    if expected[0] != got[0]:
        return f"exit code {got[0]} instead of {expected[0]}: {got[2][-300:]!r}"
    for ours, theirs in zip(expected[1].splitlines() + [b""], got[1].splitlines() + [b""]):
        if ours != theirs:
            return f"{theirs[:300]!r} instead of {ours[:300]!r}"
    return f"{got[2][-300:]!r} instead of {expected[2][-300:]!r}"


def outputs(pool, command, files):
    """Exit code and output of each way to read each file."""
    keys = [(path, tuple(way)) for path in files for way in WAYS
            if way == ["--json"] or not path.startswith(CAPTURES)]

    def run(key):
        path, way = key
        done = subprocess.run(command + ["read", *way, path], capture_output=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    return dict(zip(keys, pool.map(run, keys)))


def found():
    if not os.path.isdir(CAPTURES):
        print("captures of ../shared/pcaps: skipped: none there")
        return []
    paths = [os.path.join(where, name) for where, _, names in os.walk(CAPTURES) for name in names
             if name.endswith((".pcap", ".pcapng", ".cap"))]
    return sorted(path for path in paths if os.path.getsize(path) <= LARGEST)


def made(folder):
    """Captures in all orders and forms of a file, the same packets in each."""
    frames = list(packets(random.Random(5)))
    files = {
        "little.pcap": pcap("<", 0xA1B2C3D4, 1_000, frames),
        "big.pcap": pcap(">", 0xA1B2C3D4, 1_000, frames),
        "little-nanos.pcap": pcap("<", 0xA1B23C4D, 1, frames),
        "big-nanos.pcap": pcap(">", 0xA1B23C4D, 1, frames),
        "little.pcapng": pcapng("<", frames),
        "big.pcapng": pcapng(">", frames),
        "cut.pcap": pcap("<", 0xA1B2C3D4, 1_000, frames)[:-7],
    }
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    return [os.path.join(folder, name) for name in files]


def pcap(order, magic, unit, frames):
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, 1)
    for at, frame in frames:
        seconds, nanos = divmod(at, 10**9)
        out += struct.pack(order + "IIII", seconds, nanos // unit, len(frame), len(frame)) + frame
    return out


def pcapng(order, frames):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(
            order + "I", len(body) + 12)

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", 1, 0, 0)
                 + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))
    for at, frame in frames:
        head = struct.pack(order + "IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(frame), len(frame))
        out += block(6, head + frame)
    return out


def packets(chance):
    """Stamps in nanoseconds, and frames of what a router sees."""
    at = BEGAN * 10**9
    for number in range(400):
        at += chance.randrange(1, 50_000_000)
        client, server = 10 + chance.randrange(9), 1 + chance.randrange(20)
        port = 40_000 + chance.randrange(30)
        back = chance.random() < 0.5
        what = chance.choice((udp, udp, tcp, tcp, icmp))
        ends = (port, chance.choice((53, 80, 443, 5_353)))
        inner = what(chance, *(reversed(ends) if back else ends))
        if number % 3 == 0:
            ends = [f"2001:db8::{client:x}", f"2001:db8:1::{server:x}"]
            packet = ipv6(*(reversed(ends) if back else ends), *inner)
            kind = 0x86DD
        else:
            ends = [f"192.168.1.{client}", f"198.51.100.{server}"]
            packet = ipv4(*(reversed(ends) if back else ends), *inner, number)
            kind = 0x0800
        if number % 11 == 0:
            packet, kind = ipv4("10.0.0.1", "10.0.0.2", 47, struct.pack("!HH", 0, kind) + packet,
                                number), 0x0800
        if number % 17 == 0:
            packet = struct.pack("!HH", 7, kind) + packet
            kind = 0x8100
        if number % 29 == 0:
            packet, kind = arp(client, server), 0x0806
        macs = bytes([2, 0, 0, 0, 0, client]), bytes([2, 0, 0, 0, 1, 1])
        macs = macs if back else macs[::-1]
        yield at, b"".join(macs) + struct.pack("!H", kind) + packet


def arp(client, server):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes([2, 0, 0, 0, 0, client]) + bytes(
        [192, 168, 1, client]) + bytes(6) + bytes([192, 168, 1, server])


def udp(chance, source, destination):
    if 53 in (source, destination):
        flags, answers = (0x8180, 1) if source == 53 else (0x0100, 0)
        name = b"\x04host\x07example\x00"
        data = struct.pack("!6H", chance.randrange(65_536), flags, 1, answers, 0, 0)
        data += name + struct.pack("!HH", 1, 1)
        if answers:
            data += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([198, 51, 100, 7])
    else:
        data = chance.randbytes(chance.randrange(1, 200))
    return 17, struct.pack("!4H", source, destination, 8 + len(data), 0) + data


def tcp(chance, source, destination):
    flags = chance.choice((0x02, 0x12, 0x10, 0x18, 0x11, 0x04))
    data = chance.randbytes(chance.randrange(400)) if flags & 0x08 else b""
    return 6, struct.pack("!HHIIBBHHH", source, destination, chance.randrange(2**32),
                          chance.randrange(2**32), 0x50, flags, 8_192, 0, 0) + data


def icmp(chance, source, destination):
    del source, destination
    return 1, struct.pack("!BBHHH", 8, 0, 0, 77, chance.randrange(9)) + b"abcdefgh"


def ipv4(source, destination, protocol, data, ident):
    ends = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), ident, 0, 64, protocol, 0)
    return head + ends + data


def ipv6(source, destination, protocol, data):
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    return struct.pack("!IHBB", 6 << 28, len(data), 58 if protocol == 1 else protocol, 64) + ends + data


if __name__ == "__main__":
    main()
