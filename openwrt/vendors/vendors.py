#!/usr/bin/env python3
"""Makes and reads the table of vendors of MAC addresses.

  vendors.py build OUT [FILE]...    the whole table from the registry's text files
  vendors.py common OUT [FILE]...   the short list that goes into the binary
  vendors.py lookup TABLE MAC...    the vendor of each address, `-` if there is none
  vendors.py check TABLE [FILE]...  compare TABLE with the text files it was made of

Without FILE: oui.txt, mam.txt and oui36.txt of the Debian package ieee-data.

The table is searched where it lies, by bisection; nothing needs to be loaded. All numbers are
big-endian. 24 bytes of header:

  0  4  "PVEN"
  4  1  version, 1
  5  1  names in a group, 16
  6  2  names
  8  4  records of 24 bits
 12  4  records of 28 bits
 16  4  records of 36 bits
 20  4  bytes of the pool

Then, without gaps and to the end of the file: the records of 24, of 28 and of 36 bits, each kind
sorted; the groups; the pool. A record is a prefix, left-aligned in 3, 4 or 5 bytes, and the number
of a name in 2. The longest prefix that matches an address wins. A group is the offset in the pool,
in 4 bytes, of the first of its names; name N is the (N mod 16)th of group N div 16. In the pool a
name is a byte that says how many bytes it takes over from the name before (0 for the first of a
group), then the bytes that follow, the last of them with bit 7 set. Names are sorted, printable
ASCII, 1 to 20 bytes long.
"""
import os
import random
import re
import struct
import sys

sys.dont_write_bytecode = True
from vendor_names import LONGEST, short

DEBIAN = [f"/usr/share/ieee-data/{name}.txt" for name in ("oui", "mam", "oui36")]
HEADER = struct.Struct(">4sBBHIIII")
MAGIC, VERSION, GROUP = b"PVEN", 1, 16
KINDS = (24, 28, 36)
WIDTHS = {24: 3, 28: 4, 36: 5}
NUMBER = 2

# What stands in homes and small offices and has few enough blocks to be told by them, most useful
# first. The blocks of the largest (Apple, Samsung, Huawei, Intel, Cisco) would each fill the list
# alone.
COMMON = re.split(r",\s+", """Espressif, Raspberry Pi, Tuya, AVM, Amazon, Google, Nest, Sonos,
    Signify (Hue), Roku, Ring, eero, Ubiquiti, MikroTik, Synology, QNAP, Netgear, TP-Link, Nintendo, Hikvision, Dahua,
    EZVIZ, Axis, Reolink, Arlo, Wyze, Netatmo, tado, ecobee, Nuki, Shelly, IKEA, Aqara,
    Yeelight, LIFX, Nanoleaf, Meross, eQ-3 (Homematic), Roborock, iRobot, Ecovacs, Dreame,
    Dyson, Miele, BSH, SMA, SolarEdge, Enphase, Fronius, Tesla, Garmin, Fitbit, Withings, Bose,
    Denon (HEOS), Yamaha, Logitech, Valve, Epson, Brother, Canon, Western Digital, PC Engines,
    GL.iNet, CZ.NIC (Turris), Teltonika, Freebox, VMware, VirtualBox, Xen, QEMU, Supermicro,
    ASRock, Snom, Yealink, Grandstream, Gigaset, OnePlus, Fairphone, u-blox, FN-Link,
    Chamberlain, TiVo, Tenda, AzureWave, Zyxel, D-Link, Gigabyte, Linksys, Belkin""")
COMMON_BYTES = 8192
# In wide use, never registered: virtual machines of QEMU and KVM.
UNREGISTERED = {"QEMU": "525400"}


def fail(what):
    sys.exit(f"vendors.py: {what}")


def registered(paths):
    """{(bits, prefix): name as registered}; the first of an address block that was given twice."""
    found = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.readlines()
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{path}: {error}; the Debian package ieee-data has such files")
        block = None
        for line in lines:
            if match := re.match(r"([0-9A-F]{2})-([0-9A-F]{2})-([0-9A-F]{2})\s+\(hex\)\s+(\S.*?)\s*$", line):
                block = int("".join(match.groups()[:3]), 16)
            elif match := re.match(r"([0-9A-F]{6})(?:-([0-9A-F]{6}))?\s+\(base 16\)\s+(\S.*?)\s*$", line):
                first, last, name = match.groups()
                if not last:
                    key = (24, int(first, 16))
                else:
                    bits = 48 - (int(last, 16) - int(first, 16)).bit_length()
                    if bits not in (28, 36) or block is None:
                        fail(f"{path}: {line.strip()}: neither a block of 28 bits nor one of 36")
                    key = (bits, (block << 24 | int(first, 16)) >> 48 - bits)
                found.setdefault(key, name)
    if not found:
        fail("no registrations found; expected the text form of the registry")
    return found


def named(paths):
    """{(bits, prefix): short name}, those who don't tell left out, one spelling for each name."""
    names = {key: short(name) for key, name in registered(paths).items()}
    spellings = {}
    for name in names.values():
        counts = spellings.setdefault(name.lower(), {})
        counts[name] = counts.get(name, 0) + 1
    best = {lower: max(sorted(counts), key=counts.get) for lower, counts in spellings.items()}
    return {key: best[name.lower()] for key, name in names.items() if name}


def table(blocks):
    names = sorted(set(blocks.values()))
    if len(names) > 0xFFFF:
        fail(f"{len(names)} names do not fit into {NUMBER} bytes")
    number = {name: at for at, name in enumerate(names)}
    groups, pool, before = [], bytearray(), b""
    for at, name in enumerate(name.encode() for name in names):
        assert 0 < len(name) <= LONGEST and all(32 <= byte < 127 for byte in name), name
        kept = 0
        if at % GROUP:
            while kept < min(len(name) - 1, len(before)) and name[kept] == before[kept]:
                kept += 1
        else:
            groups.append(len(pool))
        pool += bytes([kept]) + name[kept:-1] + bytes([name[-1] | 0x80])
        before = name
    counts, records = [], bytearray()
    for bits in KINDS:
        kind = sorted((prefix, name) for (of, prefix), name in blocks.items() if of == bits)
        counts.append(len(kind))
        for prefix, name in kind:
            records += (prefix << 8 * WIDTHS[bits] - bits).to_bytes(WIDTHS[bits], "big")
            records += number[name].to_bytes(NUMBER, "big")
    header = HEADER.pack(MAGIC, VERSION, GROUP, len(names), *counts, len(pool))
    return header + bytes(records) + b"".join(at.to_bytes(4, "big") for at in groups) + bytes(pool)


class Table:
    """Reads a table as the agent does: a few reads an address, nothing kept."""

    def __init__(self, path):
        try:
            self.file = open(path, "rb")
        except OSError as error:
            fail(f"{path}: {error.strerror}")
        self.path = path
        head = self.file.read(HEADER.size)
        if len(head) < HEADER.size or head[:4] != MAGIC:
            fail(f"{path}: not a table of vendors")
        _, version, self.group, self.names, *counts, self.pool_bytes = HEADER.unpack(head)
        if version != VERSION or not self.group:
            fail(f"{path}: of version {version}; this reads {VERSION}")
        self.kinds, at = {}, HEADER.size
        for bits, count in zip(KINDS, counts):
            self.kinds[bits] = (at, count)
            at += count * (WIDTHS[bits] + NUMBER)
        self.groups = at
        self.pool = at + 4 * -(-self.names // self.group)
        if self.pool + self.pool_bytes != os.fstat(self.file.fileno()).st_size:
            fail(f"{path}: cut, or longer than it says; make it anew")

    def bytes(self, at, count):
        self.file.seek(at)
        return self.file.read(count)

    def lookup(self, mac):
        for bits in reversed(KINDS):
            width, (start, high) = WIDTHS[bits], self.kinds[bits]
            wanted = (mac >> 48 - bits << 8 * width - bits).to_bytes(width, "big")
            low = 0
            while low < high:
                middle = (low + high) // 2
                record = self.bytes(start + middle * (width + NUMBER), width + NUMBER)
                if record[:width] == wanted:
                    return self.name(int.from_bytes(record[width:], "big"))
                if record[:width] < wanted:
                    low = middle + 1
                else:
                    high = middle
        return None

    def name(self, number):
        group, left = divmod(number, self.group)
        at = int.from_bytes(self.bytes(self.groups + 4 * group, 4), "big")
        if number >= self.names or at >= self.pool_bytes:
            fail(f"{self.path}: damaged; make it anew")
        chunk = self.bytes(self.pool + at, min(self.group * (1 + LONGEST), self.pool_bytes - at))
        name, at = b"", 0
        while True:
            end = next((i for i in range(at + 1, len(chunk)) if chunk[i] & 0x80), None)
            if end is None or chunk[at] > len(name):
                fail(f"{self.path}: damaged; make it anew")
            name = name[: chunk[at]] + chunk[at + 1 : end] + bytes([chunk[end] & 0x7F])
            if not left:
                return name.decode("ascii", "replace")
            left, at = left - 1, end + 1


def address(text):
    digits = re.sub(r"[:.-]", "", text)
    if not re.fullmatch(r"[0-9A-Fa-f]{12}", digits):
        fail(f"{text}: not a MAC address")
    return int(digits, 16)


def build(out, paths):
    data = table(named(paths))
    with open(out, "wb") as file:
        file.write(data)
    *_, names, n24, n28, n36, pool = HEADER.unpack_from(data)
    print(f"{out}: {n24} + {n28} + {n36} blocks, {names} names in {pool} bytes, {len(data)} bytes in all")


def common(out, paths):
    """One vendor a line, NAME=PREFIXES, each 6 digits and nothing between them; as many vendors as
    there is room for."""
    blocks = {name: [prefix] for name, prefix in UNREGISTERED.items()}
    for (bits, prefix), name in sorted(named(paths).items()):
        if bits == 24:
            blocks.setdefault(name, []).append(f"{prefix:06X}")
    text, vendors, prefixes = "", 0, 0
    for name in COMMON:
        found = blocks.get(name, [])
        line = f"{name}={''.join(found)}\n"
        if not found or len(text) + len(line) > COMMON_BYTES:
            print(f"left out: {name} with {len(found)} blocks")
            continue
        text, vendors, prefixes = text + line, vendors + 1, prefixes + len(found)
    with open(out, "w", encoding="ascii") as file:
        file.write(text)
    print(f"{out}: {vendors} vendors, {prefixes} blocks, {len(text)} bytes")


def check(path, paths):
    """Compares lookups with ranges of addresses as the text gives them, for random addresses, for
    the ends of each block and for their neighbours."""
    ranges = {}
    for (bits, prefix), name in registered(paths).items():
        ranges[bits, prefix] = short(name)
    of_table = Table(path)
    chance = random.Random(1)
    keys = sorted(ranges)
    addresses = [chance.getrandbits(48) for _ in range(1000)]
    for bits, prefix in chance.sample(keys, min(len(keys), 1000)):
        first = prefix << 48 - bits
        last = first + (1 << 48 - bits) - 1
        addresses += [chance.randint(first, last), first, last]
        addresses += [max(first - 1, 0), min(last + 1, (1 << 48) - 1)]
    wrong = known = 0
    for mac in addresses:
        expected = next((ranges[bits, mac >> 48 - bits] for bits in (36, 28, 24)
                         if ranges.get((bits, mac >> 48 - bits))), None)
        seen = of_table.lookup(mac)
        known += expected is not None
        if (seen or "").lower() != (expected or "").lower():
            wrong += 1
            print(f"{mac:012x}: {seen} in the table, {expected} in the text", file=sys.stderr)
    print(f"{path}: {len(addresses)} addresses, {known} of known vendors, {wrong} wrong")
    return 1 if wrong else 0


def main():
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words else 2
    command, rest = words[0], words[1:]
    if command == "lookup" and len(rest) > 1:
        of_table = Table(rest[0])
        for text in rest[1:]:
            print(of_table.lookup(address(text)) or "-")
        return 0
    if command not in ("build", "common", "check") or not rest:
        print(__doc__, file=sys.stderr)
        return 2
    return {"build": build, "common": common, "check": check}[command](rest[0], rest[1:] or DEBIAN) or 0


if __name__ == "__main__":
    sys.exit(main())
