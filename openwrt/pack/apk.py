"""Packages for apk-tools 3: an ADB of what is in the package, then the files, deflated. And the
index of a feed. Field numbers are those of apk-tools' apk_adb.h.
"""
import hashlib
import os
import struct
import zlib

from adb import INDEX, PACKAGE, Adb, block
from ipk import forget, replace

FOLDER = "apk"
EVERYWHERE = "noarch"

# Slots of the info of a package.
NAME, VERSION, HASHES, DESCRIPTION, ARCH, LICENSE, ORIGIN, MAINTAINER = range(1, 9)
INSTALLED_SIZE, FILE_SIZE, PRIORITY, DEPENDS, PROVIDES = range(0xC, 0x11)
# Bits of how a version must match; with none of its own a conflict is with any.
EQUAL, LESS, GREATER, CONFLICT = 1, 2, 4, 16
UNIQUE = 20
DATA = 2
S_IFLNK = 0o120000

POST_INSTALL = """[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
export root="${IPKG_INSTROOT}"
export pkgname="%s"
add_group_and_user
default_postinst
"""
PRE_DEINSTALL = """[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
export root="${IPKG_INSTROOT}"
export pkgname="%s"
default_prerm
"""
UPGRADE = "export PKG_UPGRADE=1\n"


class Feed:
    """A folder of packages for one architecture; those of other versions go out of it."""

    def __init__(self, folder, time):
        self.folder, self.time = folder, time
        self.files = []
        self.listed = []
        os.makedirs(folder, exist_ok=True)

    def add(self, package, architecture):
        path = os.path.join(self.folder, f"{package.name}-{package.version}.apk")
        whole, info, identity = apk(package, architecture, self.time)
        replace(path, whole)
        self.files.append(path)
        self.listed.append(({**info, FILE_SIZE: len(whole)}, identity))

    def finish(self):
        """packages.adb, unsigned."""
        forget(self.folder, ".apk", self.files)
        adb = Adb()
        listed = sorted(self.listed, key=lambda one: one[0][NAME])
        packages = [info_object(adb, info, adb.blob(identity)) for info, identity in listed]
        payload = adb.finish(adb.object([0, adb.array(packages)]))
        whole = struct.pack("<4sI", b"ADB.", INDEX) + block(0, payload)
        replace(os.path.join(self.folder, "packages.adb"), deflated(whole))


def apk(package, architecture, time):
    """The octets of a package, what it says of itself and its unique hash."""
    tree = package.tree.copied()
    add_lists(tree, package)
    adb = Adb()
    size = sum(len(entry.data) for _, entry in tree.walk() if entry.kind == "file")
    info = info_of(package, architecture, size)
    unique = adb.raw(bytes(UNIQUE))
    paths, bodies = [], []
    for at, folder_path in enumerate(tree.folders(), 1):
        files = []
        for name, entry in tree.inside(folder_path):
            if entry.kind == "folder":
                continue
            files.append(file_of(adb, name, entry, time))
            if entry.kind == "file" and entry.data:
                bodies.append((at, len(files), entry.data))
        own = tree.entries[folder_path]
        paths.append(adb.object([adb.blob(folder_path), acl(adb, own.mode), adb.array(files)]))
    root = adb.object([
        info_object(adb, info, unique), adb.array(paths), adb.object(scripts(adb, package)),
    ])
    payload = adb.finish(root)
    # What is hashed has zeros in the place of the hash.
    at = (unique & 0x0FFF_FFFF) + 1
    identity = hashlib.sha256(payload).digest()[:UNIQUE]
    payload = payload[:at] + identity + payload[at + UNIQUE:]
    whole = struct.pack("<4sI", b"ADB.", PACKAGE) + block(0, payload)
    for path, file, data in bodies:
        whole += block(DATA, struct.pack("<II", path, file) + data)
    return deflated(whole), info, identity


def info_of(package, architecture, size):
    about = package.about
    provides = [(name, package.version, 0) for name in package.provides]
    # A package that provides the name of another with a version excludes it; the other way round
    # it has to be said.
    conflicts = [(name, None, CONFLICT | EQUAL | LESS | GREATER) for name in package.conflicts
                 if name not in package.provides]
    return {
        NAME: package.name,
        VERSION: package.version,
        DESCRIPTION: " ".join(about.description),
        ARCH: architecture,
        LICENSE: about.license,
        ORIGIN: "portolan",
        MAINTAINER: about.maintainer,
        INSTALLED_SIZE: max(size, 1),
        PRIORITY: 100 if package.preferred else None,
        DEPENDS: sorted([(name, None, 0) for name in package.depends] + conflicts),
        PROVIDES: sorted(provides),
    }


def info_object(adb, info, unique):
    slots = [0] * PROVIDES
    for field, value in info.items():
        if isinstance(value, str):
            slots[field - 1] = adb.blob(value)
        elif isinstance(value, int):
            slots[field - 1] = adb.integer(value)
        elif value:
            slots[field - 1] = adb.array([dependency(adb, *one) for one in value])
    slots[HASHES - 1] = unique
    return adb.object(slots)


def dependency(adb, name, version, match):
    return adb.object([adb.blob(name), adb.blob(version or ""), adb.integer(match) if match else 0])


def file_of(adb, name, entry, time):
    link = entry.kind == "link"
    return adb.object([
        adb.blob(name),
        acl(adb, entry.mode),
        adb.integer(len(entry.data)),
        adb.integer(time),
        0 if link else adb.blob(hashlib.sha256(entry.data).digest()),
        adb.blob(struct.pack("<H", S_IFLNK) + entry.data) if link else 0,
    ])


def acl(adb, mode):
    return adb.object([adb.integer(mode), adb.blob("root"), adb.blob("root")])


def scripts(adb, package):
    """trigger, pre-install, post-install, pre-deinstall, post-deinstall, pre- and post-upgrade."""
    own = {name: text.decode().replace("#!/bin/sh\n", "", 1) for name, text in package.scripts.items()}
    install = POST_INSTALL % package.name + own.get("postinst", "")
    deinstall = PRE_DEINSTALL % package.name
    after = own.get("postrm", "")
    texts = ["", "", install, deinstall, after, UPGRADE + deinstall, UPGRADE + install]
    return [adb.blob("#!/bin/sh\n" + text) if text else 0 for text in texts]


def add_lists(tree, package):
    """What OpenWrt's functions.sh and sysupgrade read of installed packages."""
    place = f"/lib/apk/packages/{package.name}"
    listed = sorted(f"/{path}" for path, entry in tree.walk() if entry.kind != "folder")
    conffiles = package.conffiles()
    if conffiles:
        static = []
        for path in conffiles:
            digest = hashlib.sha256(tree.entries[path.strip("/")].data).hexdigest()
            static.append(f"{path} {digest}\n")
        tree.file(f"{place}.conffiles", "".join(f"{path}\n" for path in conffiles).encode(), 0o644)
        tree.file(f"{place}.conffiles_static", "".join(static).encode(), 0o644)
    tree.file(f"{place}.list", "".join(f"{path}\n" for path in listed).encode(), 0o644)


def deflated(whole):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"ADBd" + packer.compress(whole) + packer.flush()
