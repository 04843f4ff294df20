#!/usr/bin/env python3
"""Holds the binaries for routers against their budgets, and tells what takes the room.

  size.py [--files] [--readme] [NAME]

The table has a line for each binary that was built, with what it takes where flash is compressed.
README.md has the same figures in kB, and --readme puts them in. Exit code 1 if a binary is above its
budget in cross/targets, or if README.md is off by more than a hundredth. Then, of NAME (armv7 by default), the sections and
the parts of the program: our modules (files with --files), the libraries, Rust's own and the C
library. Code that a library generates for a type of ours counts as ours.
"""

import argparse
import os
import re
import sys
import zlib
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from elf import SHT_NOBITS, Elf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("portolan", "portolan-mini")
RUST = ("core", "alloc", "std", "compiler_builtins", "panic_abort", "hashbrown", "__rustc",
        "rustc_demangle", "unwind", "std_detect")
# A crate at the root of a mangled path: its name follows its length (RFC 2603).
CRATE = re.compile(r"C(?:s[0-9A-Za-z]*_)?(\d+)_?(?=[A-Za-z_])")
IDENTIFIER = re.compile(r"(?:s[0-9A-Za-z]*_)?(\d+)_?(?=[A-Za-z_])")
FUNCTION = 2


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--files", action="store_true")
    args.add_argument("--readme", action="store_true")
    args.add_argument("name", nargs="?", default="armv7")
    args = args.parse_args()
    fits, built = budgets()
    fits &= readme(built, args.readme)
    path = os.path.join(ROOT, "target/cross", args.name, "portolan.unstripped")
    if os.path.exists(path):
        elf = Elf(path)
        table(f"sections of {args.name}", sections(elf))
        table(f"parts of {args.name}", parts(elf, args.files))
    else:
        print(f"\nparts of {args.name}: skipped: not built (cross/build.sh {args.name})")
    sys.exit(not fits)


def budgets():
    """Prints the first table; whether all that was built fits, and the figures."""
    with open(os.path.join(ROOT, "cross/targets"), encoding="ascii") as file:
        lines = [line.split("#")[0].split() for line in file]
    fits, built = True, {}
    print(f"{'target':<12} {'binary':<14} {'bytes':>9} {'budget':>9} {'gzip -9':>9}")
    for name, _, _, budget, *_ in filter(None, lines):
        for kind in KINDS:
            path = os.path.join(ROOT, "target/cross", name, kind)
            if not os.path.exists(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            packed = zlib.compressobj(9, wbits=31)
            packed = len(packed.compress(data) + packed.flush())
            built.setdefault(name, {})[kind] = (len(data), packed)
            over = len(data) - int(budget)
            remark = f"  {over} too many" if over > 0 else ""
            fits &= over <= 0
            print(f"{name:<12} {kind:<14} {len(data):>9} {budget:>9} {packed:>9}{remark}")
    return fits, built


def readme(built, write):
    """Whether the table of README.md has what was built, once it is put in if that is wanted."""
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    wrong = {name for name, figures in built.items() if "portolan" in figures}
    for at, line in enumerate(lines):
        row = re.match(r"\| `([a-z0-9_-]+)` \| (.*) \| ([0-9]+) \| ([0-9]+) \|$", line)
        if not row or row[1] not in wrong:
            continue
        sizes = built[row[1]]["portolan"]
        told = zip(sizes, map(int, row.group(3, 4)))
        if all(abs(size - 1000 * kilo) <= size / 100 for size, kilo in told):
            wrong.remove(row[1])
        if write:
            plain, packed = (round(size / 1000) for size in sizes)
            lines[at] = f"| `{row[1]}` | {row[2]} | {plain} | {packed} |"
            wrong.discard(row[1])
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    for name in sorted(wrong):
        print(f"README.md has other figures of {name}, or none: cross/size.py --readme puts these in")
    return not wrong


def table(title, rows):
    total = sum(rows.values())
    print(f"\n{title:<44} {'bytes':>9}")
    for name, size in rows.most_common():
        if size:
            print(f"  {name:<42} {size:>9} {100 * size / total:>5.1f} %")
    print(f"  {'sum':<42} {total:>9}")


def sections(elf):
    """What is loaded from the file."""
    return Counter({s.name: s.size for s in elf.sections if s.is_loaded and s.kind != SHT_NOBITS})


def parts(elf, files):
    """The same bytes by who they belong to. What no symbol covers is named by its section."""
    rows = Counter()
    ours = modules()
    for section_index, section in enumerate(elf.sections):
        if section.is_loaded and section.kind != SHT_NOBITS:
            rows[f"({section.name}: no symbol)"] += section.size
            covered = section.address
            symbols = [s for s in elf.symbols() if s.section == section_index]
            for symbol in sorted(symbols, key=lambda s: (s.address, -s.size)):
                # Functions that were folded into one count once.
                end = symbol.address + symbol.size
                size = max(0, end - max(symbol.address, covered))
                covered = max(covered, end)
                rows[owner(symbol, ours, files)] += size
                rows[f"({section.name}: no symbol)"] -= size
    return rows


def owner(symbol, ours, files):
    name = symbol.name
    if not name.startswith("_R"):
        if ".Lanon" in name or "anon." in name:
            return "(texts and tables without a name)"
        return "C library" if symbol.kind == FUNCTION else "(other data)"
    paths = [crate(name, found) for found in CRATE.finditer(name)]
    if not paths:
        return "Rust's library"
    for path in paths:
        # The crate alone, at the end, only says where a generic function was made.
        if path[0] == "portolan" and len(path) > 1 and (paths[0][0] == "portolan" or paths[0][0] in RUST):
            return module(path, ours, files)
    if paths[0][0] not in RUST:
        return paths[0][0]
    # A generic function of the library belongs to who asked for it.
    others = (path[0] for path in paths if path[0] not in (*RUST, "portolan"))
    return next(others, "Rust's library")


def crate(name, found):
    """The identifiers from the root of a crate on."""
    at = found.end()
    path = [name[at : at + int(found[1])]]
    at += int(found[1])
    while following := IDENTIFIER.match(name, at):
        at = following.end() + int(following[1])
        path.append(name[following.end() : at])
    return path


def modules():
    """Paths of the modules there are, as tuples."""
    known = set()
    for where, _, names in os.walk(os.path.join(ROOT, "src")):
        parent = os.path.relpath(where, os.path.join(ROOT, "src")).split(os.sep)
        parent = [] if parent == ["."] else parent
        known.add(tuple(parent))
        known.update((*parent, n.removesuffix(".rs")) for n in names if n.endswith(".rs"))
    return known


def module(path, ours, files):
    path = tuple(path[1:])
    while path and path not in ours:
        path = path[:-1]
    if not files:
        path = path[:1]
    return "::".join(("portolan", *path))


if __name__ == "__main__":
    main()
