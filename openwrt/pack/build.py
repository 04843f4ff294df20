"""Which packages there are, for which architectures, and what is in them; how they are written is
the business of `ipk` and `apk`. Facts that the feed's Makefile says are read from it.
"""
import os
import re
import subprocess

import binary
import feed
from tree import Tree


class Refused(Exception):
    """Something is missing or wrong; the text says what to do."""


class Package:
    """What a package says of itself, the tree it installs and its scripts."""

    def __init__(self, name, version, about, tree, scripts, **relations):
        self.name = name
        self.version = version
        self.about = about
        self.tree = tree
        # Of postinst and postrm, the package's own parts.
        self.scripts = scripts
        self.depends = relations.get("depends", [])
        self.conflicts = relations.get("conflicts", [])
        self.provides = relations.get("provides", [])
        self.preferred = relations.get("preferred", False)

    def conffiles(self):
        return [path for path in self.about.conffiles if self.tree.is_file(path)]


class Job:
    """One run of the tool."""

    def __init__(self, top, binaries, output):
        self.top, self.binaries, self.output = top, binaries, output
        self.feed = os.path.join(top, "openwrt", "portolan")
        self.luci = os.path.join(top, "openwrt", "luci-app-portolan")
        self.makefile = self._makefile(os.path.join(self.feed, "Makefile"))
        self.version = f"{self.makefile.version}-r{self.makefile.release}"
        self._check_version()
        self.time = self._time()

    def packages(self, form, wanted):
        targets = read_targets(os.path.join(self.top, "cross", "targets"))
        unknown = [name for name in wanted if name not in targets]
        if unknown:
            raise Refused(f"no target {unknown[0]!r} in cross/targets; there are: {' '.join(targets)}")
        built = 0
        for name in wanted or targets:
            triple, architectures = targets[name]
            folder = os.path.join(self.binaries, name)
            if not wanted and not os.path.exists(os.path.join(folder, "portolan")):
                print(f"skipped: {name}: nothing in {folder} (make cross TARGET={name} builds it)")
                continue
            packages = [self._agent("portolan", folder, name, triple),
                        self._agent("portolan-mini", folder, name, triple)]
            everywhere = self._luci()
            for architecture in architectures:
                place = os.path.join(self.output, form.FOLDER, architecture)
                packed = form.Feed(place, self.time)
                for package in packages:
                    packed.add(package, architecture)
                if everywhere:
                    packed.add(everywhere, form.EVERYWHERE)
                packed.finish()
                built += 1
                for path in packed.files:
                    print(f"{os.path.relpath(path, self.output)}: {os.path.getsize(path)} bytes")
        if not built:
            raise Refused("no target is built: make cross, or make cross TARGET=armv7 for one")

    def source(self):
        """The archive of the commit that is checked out, for the feed's Makefile."""
        name = f"{self.makefile.name}-{self.makefile.version}"
        os.makedirs(self.output, exist_ok=True)
        path = os.path.join(self.output, f"{name}.tar.gz")
        with open(path + ".new", "wb") as file:
            done = subprocess.run(
                ["git", "-C", self.top, "-c", "tar.tar.gz.command=gzip -n -9", "archive",
                 "--format=tar.gz", f"--prefix={name}/", "HEAD"], stdout=file, check=False)
        if done.returncode != 0:
            raise Refused("git archive failed: the archive is made of a commit, in a clone")
        os.replace(path + ".new", path)
        print(path)

    def _agent(self, name, folder, target, triple):
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                program = file.read()
        except FileNotFoundError:
            raise Refused(f"{path} is missing: make cross TARGET={target} builds it") from None
        wrong = binary.fault(program, triple)
        if wrong:
            raise Refused(f"{path} {wrong}: make cross TARGET={target} builds it anew")
        tree = Tree()
        tree.file("/usr/sbin/portolan", program, 0o755)
        tree.file("/etc/config/portolan", self._file("portolan.config"), 0o600)
        tree.file("/etc/init.d/portolan", self._file("portolan.init"), 0o755)
        tree.file("/etc/capabilities/portolan.json", self._file("portolan.capabilities"), 0o644)
        tree.file("/usr/share/rpcd/acl.d/portolan.json", self._file("portolan.acl"), 0o644)
        tree.link("/usr/libexec/rpcd/portolan", "../../sbin/portolan")
        tree.folder("/etc/portolan", 0o750)
        tree.folder("/etc/portolan/applications.d", 0o750)
        tree.file("/etc/portolan/applications.d/10-own.rules", self._file("portolan.rules"), 0o644)
        about = self.makefile.package(name)
        kept = [path for path in about.conffiles if not tree.is_file(path)]
        if kept:
            tree.file(f"/lib/upgrade/keep.d/{name}", "".join(f"{path}\n" for path in kept).encode(), 0o644)
        other = "portolan-mini" if name == "portolan" else "portolan"
        return Package(
            name, self.version, about, tree, self._scripts(self.feed, "files/portolan."),
            depends=["libc"], conflicts=[other],
            provides=[] if name == "portolan" else ["portolan"], preferred=name == "portolan",
        )

    def _luci(self):
        """The pages of LuCI, or nothing while there are none."""
        if not os.path.isdir(self.luci):
            return None
        makefile = self._makefile(os.path.join(self.luci, "Makefile"))
        tree = Tree()
        tree.copy(os.path.join(self.luci, "htdocs"), "/www")
        tree.copy(os.path.join(self.luci, "root"), "/")
        # OpenWrt's own post-installation forgets menus; rpcd has to learn who may do what.
        scripts = {"postinst": LUCI_POSTINST}
        return Package(
            "luci-app-portolan", self.version, makefile.luci(self.makefile), tree, scripts,
            depends=[word.lstrip("+") for word in makefile.get("LUCI_DEPENDS").split()],
        )

    def _scripts(self, folder, prefix):
        scripts = {}
        for name in ("postinst", "postrm"):
            path = os.path.join(folder, prefix + name)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    scripts[name] = file.read()
        return scripts

    def _file(self, name):
        path = os.path.join(self.feed, "files", name)
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise Refused(f"{path} is missing: it is part of the repository") from None

    def _makefile(self, path):
        try:
            return feed.Makefile(path)
        except (OSError, ValueError) as error:
            raise Refused(f"{path}: {error}") from None

    def _check_version(self):
        with open(os.path.join(self.top, "Cargo.toml"), encoding="utf-8") as file:
            found = re.search(r'^version = "([^"]*)"', file.read(), re.MULTILINE)
        cargo = found.group(1) if found else ""
        if cargo != self.makefile.version:
            raise Refused(
                f"Cargo.toml has version {cargo}, openwrt/portolan/Makefile has PKG_VERSION "
                f"{self.makefile.version}: make them the same"
            )
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", cargo):
            raise Refused(f"version {cargo}: opkg and apk want digits and dots alone")

    def _time(self):
        given = os.environ.get("SOURCE_DATE_EPOCH", "")
        if given:
            if not given.isdigit() or int(given) >= 1 << 32:
                raise Refused(f"SOURCE_DATE_EPOCH is {given!r}: it must be seconds since 1970, "
                              f"below 4294967296: stamps in packages have 32 bits")
            return int(given)
        said = subprocess.run(["git", "-C", self.top, "log", "-1", "--format=%ct"],
                              capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise Refused("no commit to take the time from: set SOURCE_DATE_EPOCH")
        return int(said.stdout)


def read_targets(path):
    """Name -> Rust triple and OpenWrt's architectures, in the order of the file."""
    targets = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if len(words) != 5:
                raise Refused(f"{path}:{number}: a target has five columns: name, triple, emulator, "
                              f"budget, architectures")
            targets[words[0]] = (words[1], words[4].split(","))
    return targets


LUCI_POSTINST = b"""#!/bin/sh
rm -rf "$IPKG_INSTROOT"/tmp/luci-indexcache* "$IPKG_INSTROOT"/tmp/luci-modulecache
[ -n "$IPKG_INSTROOT" ] || [ ! -x /etc/init.d/rpcd ] || /etc/init.d/rpcd reload
"""
