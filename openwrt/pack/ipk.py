"""Packages for opkg: a gzipped tar of `debian-binary`, `data.tar.gz` and `control.tar.gz`, as
OpenWrt's ipkg-build makes it, and the index of a feed as ipkg-make-index does.
"""
import functools
import gzip
import hashlib
import io
import os
import tarfile
import zlib

FOLDER = "opkg"
EVERYWHERE = "all"

POSTINST = b"""#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
default_postinst "$0" "$@"
"""
PRERM = b"""#!/bin/sh
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
default_prerm "$0" "$@"
"""
# Fields that the index leaves out.
NOT_LISTED = ("LicenseFiles", "Maintainer", "Require-User", "Source", "SourceDateEpoch", "SourceName")


class Feed:
    """A folder of packages for one architecture; those of other versions go out of it."""

    def __init__(self, folder, time):
        self.folder, self.time = folder, time
        self.files = []
        os.makedirs(folder, exist_ok=True)

    def add(self, package, architecture):
        path = os.path.join(self.folder, f"{package.name}_{package.version}_{architecture}.ipk")
        replace(path, ipk(package, architecture, self.time))
        self.files.append(path)

    def finish(self):
        """Packages, Packages.gz and Packages.manifest."""
        forget(self.folder, ".ipk", self.files)
        stanzas = []
        for path in sorted(self.files):
            with open(path, "rb") as file:
                whole = file.read()
            before, after = control_in(whole).split("\nDescription:", 1)
            stanzas.append(
                f"{before}\nFilename: {os.path.basename(path)}\nSize: {len(whole)}\n"
                f"SHA256sum: {hashlib.sha256(whole).hexdigest()}\nDescription:{after}\n"
            )
        manifest = "".join(stanzas)
        lines = manifest.splitlines(True)
        listed = "".join(line for line in lines if line.split(":")[0] not in NOT_LISTED)
        replace(os.path.join(self.folder, "Packages.manifest"), manifest.encode())
        replace(os.path.join(self.folder, "Packages"), listed.encode())
        replace(os.path.join(self.folder, "Packages.gz"), zipped(listed.encode()))


def ipk(package, architecture, time):
    """The octets of a package."""
    data = tar([("", "folder", 0o755, b"")] + [
        (path, entry.kind, entry.mode, entry.data) for path, entry in package.tree.walk()
    ], time)
    control = {"control": (control_of(package, architecture, time, len(data)), 0o644)}
    if package.conffiles():
        control["conffiles"] = ("".join(f"{path}\n" for path in package.conffiles()).encode(), 0o644)
    control["postinst"] = (POSTINST, 0o755)
    control["prerm"] = (PRERM, 0o755)
    # default_postinst takes the package's own part from a file of that name.
    for name, part in (("postinst", "postinst-pkg"), ("postrm", "postrm")):
        if name in package.scripts:
            control[part] = (package.scripts[name], 0o755)
    members = [("", "folder", 0o755, b"")]
    members += [(name, "file", mode, text) for name, (text, mode) in sorted(control.items())]
    whole = tar([
        ("debian-binary", "file", 0o644, b"2.0\n"),
        ("data.tar.gz", "file", 0o644, zipped(data)),
        ("control.tar.gz", "file", 0o644, zipped(tar(members, time))),
    ], time)
    return zipped(whole)


def control_of(package, architecture, time, size):
    about = package.about
    fields = [
        ("Package", package.name),
        ("Version", package.version),
        ("Depends", ", ".join(package.depends)),
        ("Conflicts", ", ".join(package.conflicts)),
        ("Provides", ", ".join(package.provides)),
        ("Source", "portolan"),
        ("SourceName", "portolan"),
        ("License", about.license),
        ("LicenseFiles", about.license_files),
        ("Section", about.section),
        ("SourceDateEpoch", str(time)),
        ("Maintainer", about.maintainer),
        ("Architecture", architecture),
        ("Installed-Size", str(size)),
        ("Description", "\n ".join(about.description)),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields if value).encode()


def control_in(whole):
    """The text of `control` of a package that was just written."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(whole))) as outer:
        inner = outer.extractfile("./control.tar.gz").read()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(inner))) as control:
        return control.extractfile("./control").read().decode()


def tar(members, time):
    """GNU tar of paths, kinds, modes and data, all root's by number."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, kind, mode, data in members:
            info = tarfile.TarInfo(f"./{path}" if path else ".")
            info.mode, info.mtime = mode, time
            if kind == "folder":
                info.type = tarfile.DIRTYPE
            elif kind == "link":
                info.type, info.linkname = tarfile.SYMTYPE, data.decode()
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if kind == "file" else None)
    return out.getvalue()


@functools.lru_cache(maxsize=4)
def zipped(data):
    """As gzip -n -9: neither name nor time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def replace(path, data):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.replace(path + ".new", path)


def forget(folder, ending, files):
    """Removes packages of other versions, which no index would name."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(ending) and path not in files:
            os.unlink(path)
