"""Takes packages apart: GNU tar as tar(5), ADB as apk-tools 3 has it. Knows nothing of the code
that writes them, and believes nothing: lengths, padding and sums are looked at.
"""
import hashlib
import struct
import zlib


class Broken(Exception):
    """It is not as it must be."""


def must(holds, what):
    if not holds:
        raise Broken(what)


def gunzip(data):
    """The content of one gzip member without name, comment, time or anything behind it."""
    must(data[:3] == b"\x1f\x8b\x08", "no gzip")
    must(data[3] == 0, f"gzip flags are {data[3]}")
    must(data[4:8] == bytes(4), "gzip has a time")
    unpacker = zlib.decompressobj(31)
    out = unpacker.decompress(data)
    must(unpacker.eof and not unpacker.unused_data, "gzip is cut short, or something is behind it")
    return out


class Member:
    """An entry of a tar."""

    def __init__(self, header, data):
        def text(start, end):
            return header[start:end].split(b"\0")[0].decode()

        def number(start, end):
            return int(text(start, end).strip() or "0", 8)

        must(header[257:265] == b"ustar  \0", f"not GNU tar: {header[257:265]}")
        total = sum(header[:148]) + 8 * 32 + sum(header[156:])
        must(number(148, 156) == total, "wrong sum of a tar header")
        self.name, self.mode, self.mtime = text(0, 100), number(100, 108), number(136, 148)
        self.owner = (number(108, 116), number(116, 124))
        self.names = (text(265, 297), text(297, 329))
        self.size = number(124, 136)
        self.kind = {"0": "file", "5": "folder", "2": "link"}[header[156:157].decode()]
        self.target = text(157, 257)
        self.data = data


def untar(data):
    """All members; the end must be two empty blocks at least."""
    members, at = [], 0
    while data[at:at + 512] != bytes(512):
        header = data[at:at + 512]
        must(len(header) == 512, "tar is cut short")
        size = int(header[124:136].split(b"\0")[0], 8)
        member = Member(header, data[at + 512:at + 512 + size])
        must(len(member.data) == size, "tar is cut short")
        members.append(member)
        at += 512 + -(-size // 512) * 512
    must(len(data) >= at + 1024 and not any(data[at:]), "no end of tar")
    return members


class Adb:
    """An ADB: values by slot."""

    def __init__(self, payload):
        must(len(payload) >= 16, "ADB is too short")
        must(payload[:4] == bytes(4), "ADB has versions other than 0 or something reserved")
        self.payload = payload
        self.used = []
        self.root = self.value(struct.unpack_from("<I", payload, 4)[0])

    def part(self, at, size, alignment):
        must(at % alignment == 0, f"offset {at} is not aligned to {alignment}")
        must(8 <= at and at + size <= len(self.payload), f"offset {at} is outside")
        return self.payload[at:at + size]

    def value(self, word):
        kind, at = word >> 28, word & 0x0FFF_FFFF
        if kind == 0:
            must(at == 0, f"special value {at}")
            return None
        if kind == 1:
            return at
        if kind in (2, 3):
            size = 4 if kind == 2 else 8
            return int.from_bytes(self.part(at, size, size), "little")
        if kind in (8, 9, 0xA):
            width = {8: 1, 9: 2, 0xA: 4}[kind]
            length = int.from_bytes(self.part(at, width, width), "little")
            must(length >= {8: 1, 9: 1 << 8, 0xA: 1 << 16}[kind], "a blob of the wrong kind")
            return bytes(self.part(at + width, length, 1))
        must(kind in (0xD, 0xE), f"value of kind {kind:x}")
        count = struct.unpack("<I", self.part(at, 4, 4))[0]
        must(count > 1, "an empty object")
        words = struct.unpack(f"<{count - 1}I", self.part(at + 4, 4 * (count - 1), 4))
        must(words[-1] != 0, "an empty slot at the end")
        values = [self.value(word) for word in words]
        return values if kind == 0xD else dict(enumerate(values, 1))


class Apk:
    """An .apk of apk-tools 3: `info`, `paths`, `scripts` by slot, and `files` by path."""

    def __init__(self, data, schema=b"pckg"):
        must(data[:4] == b"ADBd", f"magic is {data[:4]}")
        unpacker = zlib.decompressobj(-15)
        whole = unpacker.decompress(data[4:])
        must(unpacker.eof and not unpacker.unused_data, "deflate is cut short, or something is behind it")
        must(whole[:4] == b"ADB.", f"inner magic is {whole[:4]}")
        must(whole[4:8] == schema, f"schema is {whole[4:8]}")
        blocks, at = [], 8
        while at < len(whole):
            word = struct.unpack_from("<I", whole, at)[0]
            kind, length = word >> 30, word & 0x3FFF_FFFF
            must(length >= 4 and at + length <= len(whole), "a block is cut short")
            blocks.append((kind, whole[at + 4:at + length]))
            padded = -(-length // 8) * 8
            padding = whole[at + length:at + padded]
            must(len(padding) == padded - length and not any(padding), "a block is not padded with zeros")
            at += padded
        must([kind for kind, _ in blocks] == [0] + [2] * (len(blocks) - 1), "blocks are not one ADB, then data")
        self.payload = blocks[0][1]
        self.adb = Adb(self.payload)
        root = self.adb.root
        if schema != b"pckg":
            return
        self.info, self.paths = root[1], root[2]
        self.scripts = {k: v.decode() for k, v in (root.get(3) or {}).items() if v}
        self.blocks = blocks[1:]
        self.files = self.take_files()

    def take_files(self):
        """Path -> (entry, data); each file's block in the order of the tree, its sum right."""
        found, blocks = {}, list(self.blocks)
        for at, folder in enumerate(self.paths, 1):
            name = (folder[1] or b"").decode()
            must((at == 1) == (name == ""), "the root comes first and has no name")
            found["/" + name] = (folder, None)
            for number, file in enumerate(folder.get(3) or [], 1):
                path = f"/{name}/{file[1].decode()}".replace("//", "/")
                data = b""
                if file.get(6) is None and file[3]:
                    _, block = blocks.pop(0)
                    must(struct.unpack_from("<II", block) == (at, number), f"block of {path} is not its own")
                    data = block[8:]
                    must(len(data) == file[3], f"size of {path}")
                if file.get(6) is None:
                    must(hashlib.sha256(data).digest() == file[5], f"sum of {path}")
                found[path] = (file, data)
        must(not blocks, "blocks are left over")
        return found

    def unique(self):
        """The hash as it must be: of the payload with zeros in its place."""
        zeroed = self.payload.replace(self.info[3], bytes(20))
        must(self.payload.count(self.info[3]) == 1, "the unique hash is not there once")
        return hashlib.sha256(zeroed).digest()[:20]
