"""Whether a program is one for a target: ELF headers as elf(5) has them."""
import struct

# First part of the Rust triple -> e_machine, 64 bits, little-endian.
MACHINES = {
    "aarch64": (183, True, True),
    "arm": (40, False, True),
    "armv5te": (40, False, True),
    "armv7": (40, False, True),
    "i586": (3, False, True),
    "i686": (3, False, True),
    "loongarch64": (258, True, True),
    "mips": (8, False, False),
    "mips64": (8, True, False),
    "mips64el": (8, True, True),
    "mipsel": (8, False, True),
    "powerpc": (20, False, False),
    "powerpc64": (21, True, False),
    "riscv64gc": (243, True, True),
    "x86_64": (62, True, True),
}
PT_LOAD, PT_INTERP = 1, 3
SHT_SYMTAB, SHT_NOBITS = 2, 8
# In e_flags of ARM: how numbers with a point are passed to functions.
SOFT_FLOAT, HARD_FLOAT = 0x200, 0x400


def fault(program, triple):
    """Why it is none, as the end of a sentence; nothing if it is one."""
    known = MACHINES.get(triple.split("-")[0])
    if known is None:
        return f"cannot be judged: openwrt/pack/binary.py knows no {triple}"
    machine, wide, little = known
    if len(program) < 64 or program[:4] != b"\x7fELF":
        return "is no ELF program"
    if (program[4] == 2, program[5] == 1) != (wide, little):
        return f"is for another machine than {triple}"
    order = "<" if little else ">"
    kind, of = struct.unpack_from(order + "HH", program, 16)
    if of != machine or kind not in (2, 3):
        return f"is for another machine than {triple}"
    if machine == MACHINES["arm"][0]:
        flags = struct.unpack_from(order + "I", program, 36)[0]
        wanted, other = (HARD_FLOAT, "soft") if triple.endswith("hf") else (SOFT_FLOAT, "hard")
        if not flags & wanted:
            return f"is for {other} float, {triple} is not"
    try:
        segments = headers(program, order, wide)
        tables = sections(program, order, wide)
    except struct.error:
        return "is cut short"
    if any(kind == PT_INTERP for kind, _ in segments):
        return "is not static"
    if any(kind == SHT_SYMTAB for kind, _ in tables):
        return "is not stripped"
    ends = [end for kind, end in segments if kind == PT_LOAD]
    ends += [end for kind, end in tables if kind != SHT_NOBITS]
    return "is cut short" if max(ends, default=0) > len(program) else ""


def headers(program, order, wide):
    """The types of its program headers, and where in the file their bytes end."""
    start = struct.unpack_from(order + ("Q" if wide else "I"), program, 32 if wide else 28)[0]
    size, count = struct.unpack_from(order + "HH", program, 54 if wide else 42)
    form = "I4xQ16xQ" if wide else "II8xI"
    rows = [struct.unpack_from(order + form, program, start + size * i) for i in range(count)]
    return [(kind, offset + length) for kind, offset, length in rows]


def sections(program, order, wide):
    """The types of its sections, and where in the file their bytes end."""
    start = struct.unpack_from(order + ("Q" if wide else "I"), program, 40 if wide else 32)[0]
    size, count = struct.unpack_from(order + "HH", program, 58 if wide else 46)
    form = "4xI16xQQ" if wide else "4xI8xII"
    rows = [struct.unpack_from(order + form, program, start + size * i) for i in range(count)]
    return [(kind, offset + length) for kind, offset, length in rows]
