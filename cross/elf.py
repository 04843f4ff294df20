#!/usr/bin/env python3
"""Reads ELF files of any class and byte order, and strips them: elf.py strip IN OUT

Stripping keeps what is loaded and the headers of its sections; symbols, remarks and attributes
go. It is done here since strip(1) of one architecture refuses the files of another.
"""

import os
import struct
import sys
from dataclasses import dataclass

MACHINES = {3: "x86", 8: "mips", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP = 0, 1, 2, 3
SHT_SYMTAB, SHT_NOBITS = 2, 8
SHF_ALLOC = 2


@dataclass
class Section:
    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int

    @property
    def is_loaded(self):
        return bool(self.flags & SHF_ALLOC)


@dataclass
class Segment:
    at: int
    kind: int
    offset: int
    file_size: int


@dataclass
class Symbol:
    name: str
    address: int
    size: int
    kind: int
    section: int


class Elf:
    """One file, wholly in memory."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:4] != b"\x7fELF":
            raise ValueError(f"{path} is not an ELF file")
        self.is_64 = self.data[4] == 2
        self.order = "<" if self.data[5] == 1 else ">"
        self.word = "Q" if self.is_64 else "I"
        self.header_format = self.order + "HHI" + self.word * 3 + "I6H"
        self.header = list(struct.unpack_from(self.header_format, self.data, 16))
        self.machine = MACHINES.get(self.header[1], str(self.header[1]))
        self.segments = [self._segment(i) for i in range(self.header[9])]
        self.sections = self._sections()

    def _segment(self, index):
        at = self.header[4] + index * self.header[8]
        if self.is_64:
            kind, _, offset, _, _, file_size = struct.unpack_from(self.order + "IIQQQQ", self.data, at)
        else:
            kind, offset, _, _, file_size = struct.unpack_from(self.order + "5I", self.data, at)
        return Segment(at, kind, offset, file_size)

    @property
    def section_format(self):
        w = self.word
        return self.order + "II" + w * 4 + "II" + w * 2

    def _sections(self):
        raw = []
        for index in range(self.header[11]):
            at = self.header[5] + index * self.header[10]
            raw.append(struct.unpack_from(self.section_format, self.data, at))
        if not raw:
            return []
        names = raw[self.header[12]][4]
        return [Section(self._text(names + s[0]), *s[1:]) for s in raw]

    def _text(self, at):
        return self.data[at : self.data.index(b"\0", at)].decode("utf-8", "replace")

    def symbols(self):
        """All symbols with a size; those of the last link, not dynamic ones."""
        for section in self.sections:
            if section.kind != SHT_SYMTAB:
                continue
            strings = self.sections[section.link].offset
            form = self.order + ("IBBHQQ" if self.is_64 else "IIIBBH")
            for at in range(section.offset, section.offset + section.size, section.entry):
                fields = struct.unpack_from(form, self.data, at)
                if self.is_64:
                    name, info, _, home, address, size = fields
                else:
                    name, address, size, info, _, home = fields
                if size:
                    yield Symbol(self._text(strings + name), address, size, info & 15, home)

    @property
    def is_static(self):
        """Neither an interpreter nor a library is asked for."""
        if any(s.kind == PT_INTERP for s in self.segments):
            return False
        step = 16 if self.is_64 else 8
        for segment in self.segments:
            if segment.kind != PT_DYNAMIC:
                continue
            for at in range(segment.offset, segment.offset + segment.file_size, step):
                tag, _ = struct.unpack_from(self.order + self.word * 2, self.data, at)
                if tag == 1:
                    return False
        return True

    def stripped(self):
        """The bytes of this file without what is not loaded."""
        end = max(s.offset + s.file_size for s in self.segments if s.kind == PT_LOAD)
        out = bytearray(self.data[:end])
        for segment in self.segments:
            # Attributes for the next link lie behind what is loaded.
            if segment.file_size and segment.offset + segment.file_size > end:
                struct.pack_into(self.order + "I", out, segment.at, PT_NULL)
        kept = [i for i, s in enumerate(self.sections) if i == 0 or s.is_loaded]
        place = {old: new for new, old in enumerate(kept)}
        names, rows = bytearray(b"\0"), []
        for index in kept:
            s = self.sections[index]
            rows.append([self._name(names, s.name), s.kind, s.flags, s.address, s.offset, s.size,
                         place.get(s.link, 0), s.info, s.align, s.entry])
        name = self._name(names, ".shstrtab")
        rows.append([name, 3, 0, 0, len(out), len(names), 0, 0, 1, 0])
        out += names
        out += bytes(-len(out) % 8)
        header = list(self.header)
        header[5], header[11], header[12] = len(out), len(rows), len(rows) - 1
        struct.pack_into(self.header_format, out, 16, *header)
        for row in rows:
            out += struct.pack(self.section_format, *row)
        return bytes(out)

    @staticmethod
    def _name(names, name):
        if not name:
            return 0
        at = len(names)
        names += name.encode() + b"\0"
        return at


def main():
    if len(sys.argv) != 4 or sys.argv[1] != "strip":
        sys.exit("usage: elf.py strip IN OUT")
    data = Elf(sys.argv[2]).stripped()
    part = sys.argv[3] + ".new"
    with open(part, "wb") as file:
        file.write(data)
    os.chmod(part, 0o755)
    os.replace(part, sys.argv[3])


if __name__ == "__main__":
    main()
