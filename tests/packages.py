#!/usr/bin/env python3
"""Takes the packages for OpenWrt apart, field by field: packages.py [SECTION]...

Builds them of binaries that are made up here, so it needs no cross compiler; where real ones are in
target/cross, packages of those are looked at, too.
"""
import gzip
import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "openwrt"))
from checks import Checks, top
from formats import Apk, Broken, gunzip, untar

TOP = top()
TIME = 1_700_000_000
checks = Checks("packages.py")
check, same, section = checks.check, checks.same, checks.section
work = tempfile.mkdtemp(prefix="portolan-packages-")
ARCHITECTURES = ["arm_cortex-a7_neon-vfpv4", "arm_cortex-a7_vfpv4", "arm_cortex-a5_vfpv4",
                 "arm_cortex-a8_vfpv3", "arm_cortex-a9_vfpv3-d16", "arm_cortex-a9_neon",
                 "arm_cortex-a15_neon-vfpv4"]


HARD, SOFT = 0x5000400, 0x5000200


def elf(machine, wide=False, little=True, kinds=(1,), body=b"portolan " * 30000, tables=(), flags=HARD):
    """A program with these program headers and sections, which does nothing."""
    order = "<" if little else ">"
    size, entry, part = (64, 56, 64) if wide else (52, 32, 40)
    word = "Q" if wide else "I"
    sections_at = size + entry * len(kinds)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    head += struct.pack(order + "HHI" + word * 3, 2, machine, 1, 0x10000, size, sections_at)
    head += struct.pack(order + "IHHHHHH", flags, size, entry, len(kinds), part, len(tables), 0)
    headers = b"".join(struct.pack(order + "I", kind).ljust(entry, b"\0") for kind in kinds)
    sections = b"".join(struct.pack(order + "II", 0, kind).ljust(part, b"\0") for kind in tables)
    return head + headers + sections + body


def loaded(machine, length):
    """A program with so many octets of code, right behind its headers."""
    whole = bytearray(elf(machine, body=bytes(length)))
    struct.pack_into("<I", whole, 52 + 4, 84)
    struct.pack_into("<I", whole, 52 + 16, length)
    return bytes(whole)


def tree():
    """A repository with what the tool reads; what other rooms bring is made up if it is not there."""
    place = tempfile.mkdtemp(dir=work)
    for name in ("Cargo.toml", "openwrt", "cross/targets"):
        source, target = os.path.join(TOP, name), os.path.join(place, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
    acl = os.path.join(place, "openwrt/portolan/files/portolan.acl")
    if not os.path.exists(acl):
        put(acl, b'{ "portolan": { "description": "made up" } }\n')
    luci = os.path.join(place, "openwrt/luci-app-portolan")
    if not os.path.isdir(luci):
        put(os.path.join(luci, "Makefile"), b"LUCI_TITLE:=Pages\nLUCI_DEPENDS:=+luci-base +portolan\n")
        put(os.path.join(luci, "htdocs/luci-static/resources/view/portolan/status.js"), b"'use strict';\n")
        put(os.path.join(luci, "root/usr/share/luci/menu.d/luci-app-portolan.json"), b"{}\n")
        put(os.path.join(luci, "root/usr/share/rpcd/acl.d/luci-app-portolan.json"), b"{}\n")
    put(os.path.join(place, "bin/armv7/portolan"), elf(40))
    put(os.path.join(place, "bin/armv7/portolan-mini"), elf(40, body=b"mini " * 20000))
    return place


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def get(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def pack(place, *arguments, **environment):
    output = os.path.join(place, "out")
    command = [sys.executable, os.path.join(place, "openwrt/pack/pack.py"), *arguments,
               "--binaries", os.path.join(place, "bin"), "--output", output]
    variables = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": str(TIME), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)


built = tree()
for form in ("ipk", "apk"):
    done = pack(built, form, "--target", "armv7")
    if done.returncode != 0:
        sys.exit(f"packages.py: pack.py {form} failed: {done.stderr}{done.stdout}")
version = re.search(r'^version = "(.*)"', get(TOP, "Cargo.toml").decode(), re.MULTILINE).group(1) + "-r1"


def folders(path):
    """The folders on the way to one."""
    parts = path.strip("/").split("/")[:-1]
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


def expected(name):
    """Path -> kind, mode and data (or target) of what a package installs, without its folders."""
    files = os.path.join(built, "openwrt/portolan/files")
    if name == "luci-app-portolan":
        found = {}
        for source, place in (("htdocs", "/www"), ("root", "")):
            start = os.path.join(built, "openwrt/luci-app-portolan", source)
            for folder, _, names in os.walk(start):
                for file in names:
                    path = os.path.join(folder, file)
                    mode = 0o755 if os.access(path, os.X_OK) else 0o644
                    found[f"{place}/{os.path.relpath(path, start)}"] = ("file", mode, get(path))
        return found
    return {
        "/usr/sbin/portolan": ("file", 0o755, get(built, "bin/armv7", name)),
        "/etc/config/portolan": ("file", 0o600, get(files, "portolan.config")),
        "/etc/portolan/applications.d/10-own.rules": ("file", 0o644, get(files, "portolan.rules")),
        "/etc/init.d/portolan": ("file", 0o755, get(files, "portolan.init")),
        "/etc/capabilities/portolan.json": ("file", 0o644, get(files, "portolan.capabilities")),
        "/usr/share/rpcd/acl.d/portolan.json": ("file", 0o644, get(files, "portolan.acl")),
        f"/lib/upgrade/keep.d/{name}": ("file", 0o644, b"/etc/portolan/\n"),
        "/usr/libexec/rpcd/portolan": ("link", 0o777, b"../../sbin/portolan"),
    }


def look_at_tar(what, members):
    names = [member.name for member in members]
    same(f"{what}: the first is the folder itself", names[0], "./")
    bare = [name.rstrip("/").split("/") for name in names]
    same(f"{what}: sorted by folder and name", bare, sorted(bare, key=lambda parts: [p.encode() for p in parts]))
    same(f"{what}: no name twice", len(set(names)), len(names))
    for member in members:
        same(f"{what}: {member.name}: owner", (member.owner, member.names), ((0, 0), ("", "")))
        same(f"{what}: {member.name}: time", member.mtime, TIME)
        same(f"{what}: {member.name}: a folder ends in /", member.name.endswith("/"), member.kind == "folder")


def ipk(name, architecture="arm_cortex-a9_neon"):
    of = "all" if name == "luci-app-portolan" else architecture
    whole = get(built, "out/opkg", architecture, f"{name}_{version}_{of}.ipk")
    return {member.name: member for member in untar(gunzip(whole))}, whole


@section
def ipk_container():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        outer, _ = ipk(name)
        same("members in the order of ipkg-build", list(outer),
             ["./debian-binary", "./data.tar.gz", "./control.tar.gz"])
        same("debian-binary", outer["./debian-binary"].data, b"2.0\n")
        for member in outer.values():
            same(f"{member.name}", (member.mode, member.owner, member.mtime, member.kind),
                 (0o644, (0, 0), TIME, "file"))


@section
def ipk_data():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        members = untar(gunzip(ipk(name)[0]["./data.tar.gz"].data))
        look_at_tar(name, members)
        files = {m.name[1:]: (m.kind, m.mode, m.data or m.target.encode()) for m in members if m.kind != "folder"}
        same(f"{name}: files", {k: v[:2] for k, v in files.items()},
             {k: v[:2] for k, v in expected(name).items()})
        check(f"{name}: their content", files == expected(name))
        ways = {f"./{folder}/" for path in files for folder in folders(path)} | {"./"}
        modes = {m.name: m.mode for m in members if m.kind == "folder"}
        for place in ("./etc/portolan/", "./etc/portolan/applications.d/") if name != "luci-app-portolan" else ():
            same(f"{name}: its state", modes.pop(place, 0), 0o750)
            ways -= {place}
        same(f"{name}: folders", modes, dict.fromkeys(ways, 0o755))


@section
def ipk_control():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        outer, _ = ipk(name)
        members = untar(gunzip(outer["./control.tar.gz"].data))
        look_at_tar(f"{name}: control", members)
        by = {m.name: m for m in members}
        scripts = {"./postinst", "./postinst-pkg", "./prerm"}
        others = {"./", "./control"}
        if name != "luci-app-portolan":
            scripts.add("./postrm")
            others.add("./conffiles")
            same("conffiles", by["./conffiles"].data,
                 b"/etc/config/portolan\n/etc/portolan/applications.d/10-own.rules\n")
        same(f"{name}: parts", set(by), scripts | others)
        for script in scripts:
            same(f"{name}: {script} is a program", (by[script].mode, by[script].data[:10]), (0o755, b"#!/bin/sh\n"))
        same("control is none", by["./control"].mode, 0o644)
        same("postinst", by["./postinst"].data.decode().split("\n")[1:], [
            '[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0',
            '[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0',
            '. "${IPKG_INSTROOT}/lib/functions.sh"', 'default_postinst "$0" "$@"', ""])
        same("prerm", by["./prerm"].data.decode().split("\n")[1:], [
            '[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0',
            '. "${IPKG_INSTROOT}/lib/functions.sh"', 'default_prerm "$0" "$@"', ""])
        text = by["./control"].data.decode()
        fields = stanza(text)
        size = len(gunzip(outer["./data.tar.gz"].data))
        exact = {
            "Package": name, "Version": version, "SourceName": "portolan", "Source": "portolan",
            "License": "MIT OR Apache-2.0", "LicenseFiles": "LICENSE", "SourceDateEpoch": str(TIME),
            "Architecture": "all" if name == "luci-app-portolan" else "arm_cortex-a9_neon",
            "Installed-Size": str(size), "Section": "luci" if name == "luci-app-portolan" else "net",
        }
        if name == "luci-app-portolan":
            check("it needs LuCI and the agent", {"luci-base", "portolan"} <= set(fields["Depends"].split(", ")), fields)
        else:
            exact["Depends"] = "libc"
            exact["Conflicts"] = "portolan-mini" if name == "portolan" else "portolan"
            if name == "portolan-mini":
                exact["Provides"] = "portolan"
        same(f"{name}: fields", {k: fields.get(k) for k in exact}, exact)
        check(f"{name}: somebody maintains it", fields.get("Maintainer"))
        rest = set(fields) - set(exact) - {"Maintainer", "Description", "Depends"}
        same(f"{name}: no others", rest, set())
        same(f"{name}: the description is the last", list(fields)[-1], "Description")
        check("the text ends with its line", text.endswith("\n") and not text.endswith("\n\n"))


def stanza(text):
    fields, last = {}, ""
    for line in text.rstrip("\n").split("\n"):
        if line.startswith(" "):
            fields[last] += "\n" + line
        else:
            last, _, value = line.partition(": ")
            check(f"field {last} is there once and has something", last not in fields and value.strip())
            fields[last] = value
    return fields


@section
def opkg_feed():
    for architecture in ARCHITECTURES:
        folder = os.path.join(built, "out/opkg", architecture)
        packages = sorted(name for name in os.listdir(folder) if name.endswith(".ipk"))
        same(f"{architecture}: packages", packages, sorted(
            [f"luci-app-portolan_{version}_all.ipk", f"portolan_{version}_{architecture}.ipk",
             f"portolan-mini_{version}_{architecture}.ipk"]))
        listed = get(folder, "Packages").decode()
        same("Packages.gz is the same", gunzip(get(folder, "Packages.gz")).decode(), listed)
        check("stanzas end with an empty line", listed.endswith("\n\n") and "\n\n\n" not in listed)
        stanzas = listed[:-2].split("\n\n")
        same("a stanza each", len(stanzas), len(packages))
        for text in stanzas:
            fields = stanza(text)
            whole = get(folder, fields["Filename"])
            same("size and sum", (fields["Size"], fields["SHA256sum"]),
                 (str(len(whole)), hashlib.sha256(whole).hexdigest()))
            same("before the description", list(fields)[-4:], ["Filename", "Size", "SHA256sum", "Description"])
            same("no more than opkg needs", [k for k in fields if k in ("Maintainer", "Source", "SourceName")], [])
        check("the manifest has all", "Maintainer: " in get(folder, "Packages.manifest").decode())


def apk(name, architecture="arm_cortex-a9_neon"):
    return Apk(get(built, "out/apk", architecture, f"{name}-{version}.apk"))


@section
def apk_info():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        package = apk(name)
        info = dict(package.info)
        same(f"{name}: unique hash", info.pop(3), package.unique())
        exact = {1: name.encode(), 2: version.encode(), 6: b"MIT OR Apache-2.0", 7: b"portolan",
                 5: b"noarch" if name == "luci-app-portolan" else b"arm_cortex-a9_neon"}
        same(f"{name}: name, version, architecture, licence, origin", {k: info.pop(k) for k in exact}, exact)
        size = sum(len(data) for _, data in package.files.values() if data)
        same(f"{name}: installed size", info.pop(0xC), size)
        check(f"{name}: description and maintainer", info.pop(4) and info.pop(8))
        same(f"{name}: preferred", info.pop(0xE, None), 100 if name == "portolan" else None)
        depends = [(d[1], d.get(2), d.get(3)) for d in info.pop(0xF)]
        same(f"{name}: dependencies are sorted", depends, sorted(depends))
        if name == "portolan":
            same("it excludes the other", depends, [(b"libc", None, None), (b"portolan-mini", None, 23)])
        elif name == "portolan-mini":
            same("it needs", depends, [(b"libc", None, None)])
            same("it provides the other, so excludes it", info.pop(0x10), [{1: b"portolan", 2: version.encode()}])
        else:
            check("it needs LuCI and the agent", {b"luci-base", b"portolan"} <= {d[0] for d in depends}, depends)
        same(f"{name}: nothing else", {k: v for k, v in info.items() if v is not None}, {})


@section
def apk_files():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        package = apk(name)
        paths = [(folder[1] or b"") for folder in package.paths]
        same(f"{name}: folders are sorted", paths, sorted(paths))
        wanted = expected(name)
        lists = f"/lib/apk/packages/{name}"
        wanted[f"{lists}.list"] = ("file", 0o644, "".join(f"{path}\n" for path in sorted(wanted)).encode())
        if name != "luci-app-portolan":
            kept = ["/etc/config/portolan", "/etc/portolan/applications.d/10-own.rules"]
            wanted[f"{lists}.conffiles"] = ("file", 0o644, "".join(f"{path}\n" for path in kept).encode())
            wanted[f"{lists}.conffiles_static"] = ("file", 0o644, "".join(
                f"{path} {hashlib.sha256(wanted[path][2]).hexdigest()}\n" for path in kept).encode())
        seen = {}
        for path, (entry, data) in package.files.items():
            acl = entry[2]
            same(f"{name}: {path} is root's", (acl[2], acl[3]), (b"root", b"root"))
            if data is None:
                same(f"{name}: {path}", acl[1], 0o750 if path.startswith("/etc/portolan") else 0o755)
                names = [file[1] for file in entry.get(3) or []]
                same(f"{name}: {path} is sorted", names, sorted(names))
                continue
            same(f"{name}: {path}: time", entry[4], TIME)
            if entry.get(6) is not None:
                same(f"{path} is a link", entry[6][:2], struct.pack("<H", 0o120000))
                same(f"{path} has no sum", entry.get(5), None)
                seen[path] = ("link", acl[1], entry[6][2:])
            else:
                seen[path] = ("file", acl[1], data)
        same(f"{name}: files", {k: v[:2] for k, v in seen.items()}, {k: v[:2] for k, v in wanted.items()})
        check(f"{name}: their content", seen == wanted)


@section
def apk_scripts():
    for name in ("portolan", "portolan-mini", "luci-app-portolan"):
        scripts = apk(name).scripts
        wanted = {3, 4, 6, 7} | (set() if name == "luci-app-portolan" else {5})
        same(f"{name}: scripts", set(scripts), wanted)
        for number, text in scripts.items():
            same(f"{name}: {number} starts with its interpreter once", (text[:10], text.count("#!")), ("#!/bin/sh\n", 1))
        for number in (3, 7):
            check("after the installation", 'export root="${IPKG_INSTROOT}"' in scripts[number]
                  and f'export pkgname="{name}"' in scripts[number]
                  and "\nadd_group_and_user\ndefault_postinst\n" in scripts[number], scripts[number])
            check("rpcd learns of it", "/etc/init.d/rpcd reload" in scripts[number])
        for number in (4, 6):
            check("before it goes", f'export pkgname="{name}"' in scripts[number]
                  and scripts[number].endswith("default_prerm\n"), scripts[number])
        for number in (6, 7):
            same("an upgrade says so first", scripts[number].split("\n")[1], "export PKG_UPGRADE=1")
        for number in (3, 4):
            check("nothing else is one", "PKG_UPGRADE=1" not in scripts[number])


@section
def apk_feed():
    for architecture in ARCHITECTURES:
        folder = os.path.join(built, "out/apk", architecture)
        same("packages", sorted(os.listdir(folder)), sorted(
            ["packages.adb"] + [f"{name}-{version}.apk" for name in ("portolan", "portolan-mini", "luci-app-portolan")]))
        index = Apk(get(folder, "packages.adb"), b"indx").adb.root[2]
        names = [info[1] for info in index]
        same("sorted by name", names, sorted(names))
        for info in index:
            whole = get(folder, f"{info[1].decode()}-{info[2].decode()}.apk")
            same("file size", info.pop(0xD), len(whole))
            same("the rest is the package's own", {k: v for k, v in info.items() if v is not None},
                 {k: v for k, v in Apk(whole).info.items() if v is not None})


@section
def decoder_sees_damage():
    good = get(built, "out/apk/arm_cortex-a9_neon", f"portolan-{version}.apk")
    inner = zlib.decompressobj(-15).decompress(good[4:])
    for what, at in (("schema", 4), ("version of the ADB", 12), ("root", 19), ("data", len(inner) - 2000)):
        spoiled = bytearray(inner)
        spoiled[at] ^= 0x41
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        try:
            Apk(b"ADBd" + packer.compress(bytes(spoiled)) + packer.flush())
            check(f"a wrong {what} is seen", False)
        except (Broken, struct.error, TypeError, KeyError, AttributeError, IndexError):
            check(f"a wrong {what} is seen", True)


@section
def same_bytes_twice():
    def sums(place):
        found = {}
        for folder, _, names in os.walk(os.path.join(place, "out")):
            for name in names:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, place)] = hashlib.sha256(get(path)).hexdigest()
        return found

    other = tree()
    # Neither times nor the order of folders, nor the language, nor the mask may matter.
    for folder, _, names in os.walk(other):
        for name in names:
            os.utime(os.path.join(folder, name), (1, 1))
    mask = os.umask(0o077)
    for form in ("apk", "ipk"):
        done = pack(other, form, "--target", "armv7", LC_ALL="C", TZ="Asia/Tokyo", PYTHONHASHSEED="7")
        same("it is built", done.returncode, 0)
    os.umask(mask)
    same("every file", sums(other), sums(built))
    check("another time is other bytes", pack(other, "ipk", "--target", "armv7", SOURCE_DATE_EPOCH="1").returncode == 0
          and sums(other) != sums(built))


@section
def time_of_the_commit():
    place = tree()
    git = ["git", "-C", place, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    stamp = {**os.environ, "GIT_AUTHOR_DATE": "@1600000000 +0000", "GIT_COMMITTER_DATE": "@1600000000 +0000"}
    subprocess.run(["git", "init", "-q", place], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True, env=stamp)
    same("it is built", pack(place, "ipk", "--target", "armv7", SOURCE_DATE_EPOCH="").returncode, 0)
    whole = get(place, "out/opkg/arm_cortex-a9_neon", f"portolan_{version}_arm_cortex-a9_neon.ipk")
    same("without SOURCE_DATE_EPOCH", {m.mtime for m in untar(gunzip(whole))}, {1_600_000_000})
    first = pack(place, "source")
    archive = os.path.join(place, "out", f"portolan-{version[:-3]}.tar.gz")
    one = get(archive)
    pack(place, "source")
    same("the archive of the source, the same twice", (first.returncode, get(archive) == one), (0, True))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(one))) as inside:
        check("it has one folder with everything", f"portolan-{version[:-3]}/Cargo.toml" in inside.getnames())


@section
def what_is_wrong_is_refused():
    def refused(what, place, saying, *arguments, **environment):
        done = pack(place, *(arguments or ("ipk", "--target", "armv7")), **environment)
        check(f"{what}: refused", done.returncode == 1, done)
        check(f"{what}: in one line that says what to do",
              done.stderr.count("\n") == 1 and all(word in done.stderr for word in saying), done.stderr)
        left = [f for _, _, files in os.walk(os.path.join(place, "out")) for f in files]
        same(f"{what}: nothing is written", left, [])

    place = tree()
    program = os.path.join(place, "bin/armv7/portolan")
    for what, data, words in (
        ("big-endian", elf(40, little=False), ("another machine", "make cross TARGET=armv7")),
        ("64 bits", elf(183, wide=True), ("another machine",)),
        ("MIPS", elf(8), ("another machine",)),
        ("dynamic", elf(40, kinds=(1, 3)), ("not static",)),
        ("with symbols", elf(40, tables=(0, 2)), ("not stripped",)),
        ("a script", b"#!/bin/sh\n" * 20, ("no ELF",)),
        ("empty", b"", ("no ELF",)),
        ("cut short", elf(40, kinds=(1,) * 60)[:100], ("cut short",)),
        ("cut short amid its code", loaded(40, 5000)[:-1], ("cut short",)),
        ("for soft float", elf(40, flags=SOFT), ("soft float", "make cross TARGET=armv7")),
        ("for no kind of float", elf(40, flags=0x5000000), ("soft float",)),
    ):
        put(program, data)
        refused(what, place, words)
    os.unlink(program)
    put(os.path.join(place, "bin/armv7-soft/portolan"), elf(40))
    put(os.path.join(place, "bin/armv7-soft/portolan-mini"), elf(40, flags=SOFT))
    refused("for hard float", place, ("hard float", "make cross TARGET=armv7-soft"),
            "ipk", "--target", "armv7-soft")
    refused("no binary", place, ("missing", "make cross TARGET=armv7"))
    refused("nothing built at all", place, ("make cross",), "apk")
    refused("no such target", place, ("no target 'armv9'", "armv7"), "ipk", "--target", "armv9")
    put(program, elf(40))
    os.unlink(os.path.join(place, "bin/armv7/portolan-mini"))
    refused("no smaller binary", place, ("portolan-mini", "make cross TARGET=armv7"))
    refused("a time that is none", place, ("SOURCE_DATE_EPOCH",), "ipk", SOURCE_DATE_EPOCH="yesterday")
    refused("a time that no stamp holds", place, ("SOURCE_DATE_EPOCH", "below 4294967296"), "ipk",
            SOURCE_DATE_EPOCH=str(1 << 32))
    place = tree()
    cargo = os.path.join(place, "Cargo.toml")
    put(cargo, get(cargo).replace(b'version = "', b'version = "9', 1))
    refused("versions that differ", place, ("PKG_VERSION", "Cargo.toml"))
    place = tree()
    os.unlink(os.path.join(place, "openwrt/portolan/files/portolan.capabilities"))
    refused("a file of the service that is missing", place, ("portolan.capabilities", "missing"))
    place = tree()
    put(os.path.join(place, "cross/targets"), b"armv7 triple\n")
    refused("a line of targets that is none", place, ("cross/targets:1",))


@section
def each_target_has_a_machine():
    """What cross/targets lists can be packed, and only for its own kind of machine."""
    kinds = {"aarch64": (183, True, True), "armv7": (40, False, True), "armv7-soft": (40, False, True),
             "armv6": (40, False, True), "mipsel": (8, False, True), "mips": (8, False, False),
             "x86_64": (62, True, True), "i686": (3, False, True), "riscv64": (243, True, True)}
    place = tree()
    text = get(place, "cross/targets").decode()
    listed = {line.split()[0]: line.split()[4].split(",") for line in text.split("\n") if line and line[0] != "#"}
    strings = [a for architectures in listed.values() for a in architectures]
    same("no architecture is given twice", len(strings), len(set(strings)))
    for name in listed:
        kind = kinds.get(name)
        if not check(f"{name}: the test knows it", kind):
            continue
        for variant in ("portolan", "portolan-mini"):
            flags = SOFT if name == "armv7-soft" else HARD
            put(os.path.join(place, "bin", name, variant), elf(*kind, body=variant.encode(), flags=flags))
    done = pack(place, "ipk")
    same("all at once", (done.returncode, sorted(os.listdir(os.path.join(place, "out/opkg")))), (0, sorted(strings)))


@section
def makefile_of_the_feed():
    text = get(TOP, "openwrt/portolan/Makefile").decode()
    cargo = get(TOP, "Cargo.toml").decode()
    for what, pattern in {
        "its version is Cargo's": rf"^PKG_VERSION:={re.escape(version[:-3])}$",
        "Rust for the host": r"^PKG_BUILD_DEPENDS:=rust/host$",
        "one at a time": r"^PKG_BUILD_PARALLEL:=1$",
        "a licence": r"^PKG_LICENSE:=MIT OR Apache-2\.0$",
        "on what Rust knows": r"^  DEPENDS:=\$\(RUST_ARCH_DEPENDS\)$",
        "where it is in the menu": r"^  SECTION:=net\n  CATEGORY:=Network$",
        "the profile for routers": r"^CARGO_PKG_PROFILE:=router$",
        "a variant without the page": r"^  CARGO_PKG_ARGS\+=--no-default-features$",
        "a conffile": r"^define Package/portolan/conffiles\n/etc/config/portolan\n",
        "private settings": r"\$\(INSTALL_CONF\) \./files/portolan\.config ",
    }.items():
        check(what, re.search(pattern, text, re.MULTILINE), pattern)
    check("Cargo has that profile", "[profile.router]" in cargo)
    order = [text.index(part) for part in (
        "include $(TOPDIR)/rules.mk", "PKG_NAME:=", "include $(INCLUDE_DIR)/package.mk", "rust-package.mk",
        "$(eval $(call RustBinPackage,portolan))", "$(eval $(call BuildPackage,portolan))")]
    same("includes and calls in their order", order, sorted(order))
    for title in re.findall(r"TITLE:=(.*)", text):
        check("a title has 60 characters at most", len(title) <= 60, title)
    for used in set(re.findall(r"\./files/(\S+)", text)) | set(re.findall(r"/files/(portolan\.\w+)\)", text)):
        check(f"{used} is there", os.path.exists(os.path.join(built, "openwrt/portolan/files", used)))
    if shutil.which("make"):
        # The blocks are valid for make itself: what OpenWrt's includes bring is left out.
        stand_in = os.path.join(work, "make")
        for name in ("rules.mk", "include/package.mk", "feeds/packages/lang/rust/rust-package.mk"):
            put(os.path.join(stand_in, name), b"")
        put(os.path.join(stand_in, "rules.mk"), b"INCLUDE_DIR:=$(TOPDIR)/include\n")
        probe = "$(info postinst=$(Package/portolan-mini/postinst))\nall:\n"
        put(os.path.join(stand_in, "Makefile"), (text + probe).encode())
        shutil.copytree(os.path.join(built, "openwrt/portolan/files"), os.path.join(stand_in, "files"))
        done = subprocess.run(["make", "-C", stand_in, "-s", f"TOPDIR={stand_in}"], capture_output=True, text=True, check=False)
        check("make reads it, and the scripts are as they are in their files",
              done.returncode == 0 and get(stand_in, "files/portolan.postinst").decode().strip() in done.stdout, done)


@section
def scripts_are_clean():
    if shutil.which("shellcheck") is None:
        checks.skip("scripts_are_clean", "shellcheck is not installed")
        return
    files = os.path.join(TOP, "openwrt/portolan")
    place = os.path.join(TOP, "tests/openwrt/root")
    scripts = [os.path.join(files, name) for name in (
        "files/portolan.init", "files/portolan.postinst", "files/portolan.postrm", "test.sh")]
    scripts += [os.path.join(place, name) for name in (
        "lib/functions.sh", "lib/functions/procd.sh", "lib/functions/network.sh", "etc/rc.common",
        "sbin/uci", "sbin/ujail", "sbin/validate_data")]
    for name in ("portolan", "luci-app-portolan"):
        for number, text in apk(name).scripts.items():
            path = os.path.join(work, f"{name}-{number}.sh")
            put(path, text.encode())
            scripts.append(path)
    # rc.common, functions.sh and the shell that sources are on the router.
    done = subprocess.run(["shellcheck", "-s", "dash", "-e", "SC1091", *scripts], capture_output=True, text=True, check=False)
    check("shellcheck finds nothing", done.returncode == 0, done.stdout)


@section
def packages_of_what_was_built():
    folder = os.path.join(TOP, "target/cross")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [name for name in names if os.path.exists(os.path.join(folder, name, "portolan-mini"))]
    if not names:
        checks.skip("packages_of_what_was_built", "nothing is in target/cross (make cross builds it)")
        return
    place = tree()
    for name in names:
        shutil.copytree(os.path.join(folder, name), os.path.join(place, "bin", name), dirs_exist_ok=True)
    for form in ("ipk", "apk"):
        done = pack(place, form)
        check(f"{form} of {' '.join(names)}", done.returncode == 0, done.stderr)
    for path, _, files in os.walk(os.path.join(place, "out")):
        for file in files:
            if file.endswith(".apk"):
                Apk(get(path, file))


try:
    checks.run(sys.argv[1:])
finally:
    shutil.rmtree(work)
