"""A strict reader of pcapng streams, for tests: whatever the format does not allow is an error
here, where Wireshark would shrug (draft-ietf-opsawg-pcapng)."""
import struct
from collections import namedtuple

Section = namedtuple("Section", "options")
Interface = namedtuple("Interface", "link snaplen options")
Packet = namedtuple("Packet", "interface nanos data length options")
Statistics = namedtuple("Statistics", "interface nanos options")
Names = namedtuple("Names", "records")
Other = namedtuple("Other", "kind body")


class Malformed(Exception):
    pass


def blocks(data):
    """All whole blocks of a stream, which may end amid one: (blocks, octets left over)."""
    found, at = [], 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or length % 4:
            raise Malformed(f"block at {at}: length {length}")
        if at + length > len(data):
            break
        (again,) = struct.unpack_from("<I", data, at + length - 4)
        if again != length:
            raise Malformed(f"block at {at}: lengths {length} and {again}")
        found.append(block(kind, bytes(data[at + 8:at + length - 4]), at))
        at += length
    return found, len(data) - at


def block(kind, body, at):
    if kind == 0x0A0D0D0A:
        magic, major, minor, length = struct.unpack_from("<IHHq", body)
        if (magic, major, minor, length) != (0x1A2B3C4D, 1, 0, -1):
            raise Malformed(f"section header at {at}: {magic:x} {major}.{minor} {length}")
        return Section(options(body[16:], at))
    if kind == 1:
        link, reserved, snaplen = struct.unpack_from("<HHI", body)
        if reserved:
            raise Malformed(f"interface at {at}: reserved {reserved}")
        return Interface(link, snaplen, options(body[8:], at))
    if kind == 6:
        interface, high, low, captured, length = struct.unpack_from("<5I", body)
        padded = captured + (-captured % 4)
        if 20 + padded > len(body) or captured > length:
            raise Malformed(f"packet at {at}: {captured} of {length} in {len(body)}")
        if any(body[20 + captured:20 + padded]):
            raise Malformed(f"packet at {at}: padding is not zero")
        data = body[20:20 + captured]
        return Packet(interface, high << 32 | low, data, length, options(body[20 + padded:], at))
    if kind == 5:
        interface, high, low = struct.unpack_from("<3I", body)
        return Statistics(interface, high << 32 | low, options(body[12:], at))
    if kind == 4:
        return Names(records(body, at))
    return Other(kind, body)


def options(data, at):
    """Pairs of code and value. Ours always ends the list with opt_endofopt."""
    found, place = [], 0
    if not data:
        return found
    while True:
        if place + 4 > len(data):
            raise Malformed(f"block at {at}: options without an end")
        code, length = struct.unpack_from("<HH", data, place)
        place += 4
        if code == 0:
            if length or place != len(data):
                raise Malformed(f"block at {at}: {len(data) - place} octets behind the options")
            return found
        value = data[place:place + length]
        place += length + (-length % 4)
        if len(value) < length or place > len(data):
            raise Malformed(f"block at {at}: option {code} of {length} octets")
        found.append((code, value))


def records(data, at):
    found, place = [], 0
    while True:
        if place + 4 > len(data):
            raise Malformed(f"names at {at}: no end")
        kind, length = struct.unpack_from("<HH", data, place)
        if kind == 0:
            return found
        value = data[place + 4:place + 4 + length]
        address = {1: 4, 2: 16}.get(kind, 0)
        names = value[address:]
        if not names.endswith(b"\0") or len(value) < length:
            raise Malformed(f"names at {at}: {value!r}")
        found.append((value[:address], names[:-1].split(b"\0")))
        place += 4 + length + (-length % 4)


class Stream:
    """What a stream holds, checked for order: interfaces before their packets, and so on."""

    def __init__(self, data):
        found, self.rest = blocks(data)
        self.blocks = found
        if found and not isinstance(found[0], Section):
            raise Malformed("the first block is not a section header")
        self.interfaces, self.packets, self.statistics, self.names = [], [], [], []
        for at, one in enumerate(found):
            if isinstance(one, Section) and at:
                raise Malformed("a second section")
            if isinstance(one, Interface):
                self.interfaces.append(one)
            if isinstance(one, (Packet, Statistics)) and one.interface >= len(self.interfaces):
                raise Malformed(f"{type(one).__name__} of interface {one.interface} before it")
            if isinstance(one, Packet):
                snaplen = self.interfaces[one.interface].snaplen
                if snaplen and len(one.data) > snaplen:
                    raise Malformed(f"{len(one.data)} octets beyond the snap length {snaplen}")
                self.packets.append(one)
            elif isinstance(one, Statistics):
                self.statistics.append(one)
            elif isinstance(one, Names):
                self.names.append(one)

    def names_of_interfaces(self):
        return [option(one, 2).decode() for one in self.interfaces]

    def udp(self, port):
        """(interface name, payload) of UDP packets to a port, tags skipped."""
        names = self.names_of_interfaces()
        for packet in self.packets:
            payload = udp_payload(packet.data, port)
            if payload is not None:
                yield names[packet.interface], payload

    def last_statistics(self, interface=0):
        last = [one for one in self.statistics if one.interface == interface]
        return {code: struct.unpack("<Q", value)[0] for code, value in last[-1].options
                if code in (4, 5, 6, 7, 8)} if last else {}

    def comments(self):
        return [value.decode() for code, value in self.blocks[0].options if code == 1]

    def drops_told(self):
        return sum(int.from_bytes(option(one, 4) or b"", "little") for one in self.packets)


def option(one, code):
    return next((value for known, value in one.options if known == code), None)


def flags(packet):
    value = option(packet, 2)
    return int.from_bytes(value, "little") if value else 0


def udp_payload(frame, port):
    """Payload of a UDP packet over IPv4 to a port; None for anything else."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    if frame[at:at + 2] != b"\x08\x00" or len(frame) < at + 30 or frame[at + 11] != 17:
        return None
    at += 2 + 4 * (frame[at + 2] & 15)
    return frame[at + 8:] if int.from_bytes(frame[at + 2:at + 4], "big") == port else None


def document(text):
    """The YAML of a comment as a dictionary; the small part of YAML that it may be made of."""
    marker = "---\n# capture target information\n"
    if not text.startswith(marker):
        raise Malformed(f"comment does not begin with the marker: {text[:60]!r}")
    found, inner = {}, None
    for line in text[len(marker):].splitlines():
        if line in ("---", "..."):
            break
        key, colon, value = line.partition(":")
        if not colon or value and not value.startswith(" "):
            raise Malformed(f"not a mapping: {line!r}")
        value = value.strip(" ")
        if key.startswith("  "):
            if inner is None:
                raise Malformed(f"indented without a parent: {line!r}")
            inner[key.strip()] = scalar(value)
        elif value in ("", "{}"):
            inner = found[key] = {}
        else:
            inner, found[key] = None, scalar(value)
    return found


def scalar(text):
    import json
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("'"):
        if not text.endswith("'") or len(text) < 2:
            raise Malformed(text)
        return text[1:-1].replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    if text[:1] in tuple("&*!|>%@`{}[],#?-") or ": " in text or " #" in text or \
            text.endswith(":") or text.lower() in ("yes", "no", "null", "~", "on", "off") or \
            text.replace(".", "", 1).replace("_", "").isdigit():
        raise Malformed(f"a plain scalar that means something else: {text!r}")
    return text
