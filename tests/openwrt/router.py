"""A stand-in for a router: a root of its own with busybox, the agent, the service files and, for
OpenWrt's libraries, the scripts below `root/`, which write down what they are asked. Everything in
it runs by busybox in a chroot, in a network namespace of its own.
"""
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FILES = os.path.join(TOP, "openwrt", "portolan", "files")
# Where the package puts each of its files.
PLACES = [
    ("portolan.config", "etc/config/portolan", 0o600),
    ("portolan.init", "etc/init.d/portolan", 0o755),
    ("portolan.capabilities", "etc/capabilities/portolan.json", 0o644),
]


def missing():
    """Why there can be no such router here, or nothing."""
    if os.geteuid() != 0:
        return "needs root for its chroot and its network namespace"
    for tool in ("busybox", "ip", "mount"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    kind = subprocess.run(["ldd", shutil.which("busybox")], capture_output=True, text=True)
    if "not a dynamic" not in kind.stdout + kind.stderr:
        return "busybox is not static (busybox-static has one that is)"
    return ""


class Router:
    """One such root; `with` it, so that nothing stays."""

    def __init__(self, program, installed=True):
        self.program = program
        self.installed = installed
        self.space = f"prow{os.getpid() % 100000}"

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="portolan-router-")
        os.chmod(self.root, 0o755)
        shutil.copytree(os.path.join(HERE, "root"), self.root, dirs_exist_ok=True)
        for folder in ("bin", "dev", "etc/config", "etc/init.d", "lib", "proc", "sbin", "tmp/run",
                       "usr/bin", "usr/sbin", "usr/lib/opkg/info"):
            os.makedirs(self.at(folder), exist_ok=True)
        os.symlink("tmp", self.at("var"))
        shutil.copy(shutil.which("busybox"), self.at("bin/busybox"))
        subprocess.run(["chroot", self.root, "/bin/busybox", "--install", "-s", "/bin"], check=True)
        # Those of the stand-ins come first in the path.
        for name in ("logger", "uci"):
            if os.path.lexists(self.at("bin", name)):
                os.unlink(self.at("bin", name))
        for name, number in (("null", (1, 3)), ("urandom", (1, 9))):
            os.mknod(self.at("dev", name), 0o020666, os.makedev(*number))
            os.chmod(self.at("dev", name), 0o666)
        self.write("etc/group", "root:x:0:\nnetwork:x:101:\n")
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n")
        self.write("etc/config/network", "config interface 'lan'\nconfig interface 'wan'\n")
        self.write("tmp/network", "lan br-lan\nwan pppoe-wan\n")
        self.add_program()
        if self.installed:
            for source, place, mode in PLACES:
                os.makedirs(os.path.dirname(self.at(place)), exist_ok=True)
                shutil.copy(os.path.join(FILES, source), self.at(place))
                os.chmod(self.at(place), mode)
        subprocess.run(["ip", "netns", "add", self.space], check=True)
        subprocess.run(["ip", "-n", self.space, "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", self.at("proc")], check=True)
        return self

    def __exit__(self, *_):
        self.run("/etc/init.d/portolan stop 2>/dev/null; exit 0")
        subprocess.run(["umount", self.at("proc")])
        subprocess.run(["ip", "netns", "del", self.space])
        shutil.rmtree(self.root)

    def add_program(self):
        """The agent, with the libraries it needs if it is not static."""
        os.makedirs(self.at("usr/sbin"), exist_ok=True)
        shutil.copy(self.program, self.at("usr/sbin/portolan"))
        needs = subprocess.run(["ldd", self.program], capture_output=True, text=True).stdout
        for path in re.findall(r"(/\S+) \(0x", needs):
            os.makedirs(self.at(os.path.dirname(path)), exist_ok=True)
            shutil.copy(path, self.at(path))

    def at(self, *parts):
        return os.path.join(self.root, *(part.lstrip("/") for part in parts))

    def read(self, path):
        try:
            with open(self.at(path), encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, path, text, mode=None):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        if mode is not None:
            os.chmod(self.at(path), mode)

    def has(self, path):
        return os.path.lexists(self.at(path))

    def mode(self, path):
        return os.lstat(self.at(path)).st_mode & 0o7777

    def run(self, command, timeout=60, **environment):
        """A command line for busybox ash inside; what it printed and its code."""
        inside = ["ip", "netns", "exec", self.space, "chroot", self.root, "/bin/busybox", "ash",
                  "-c", command]
        done = subprocess.run(
            inside, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        )
        return Said(done)

    def service(self, verb, **environment):
        return self.run(f"/etc/init.d/portolan {verb}", **environment)

    def configure(self, text):
        self.write("etc/config/portolan", text, 0o600)

    def events(self):
        """What procd did since this was last asked."""
        text = self.read("tmp/procd/log")
        if text:
            os.unlink(self.at("tmp/procd/log"))
        return text.split("\n")[:-1]

    def instance(self):
        return self.read("tmp/procd/portolan.instance").split("\n")[:-1]

    def settings(self):
        """The generated file, as pairs."""
        lines = self.read("tmp/run/portolan/portolan.conf").split("\n")
        return [tuple(line.split(" = ", 1)) for line in lines if line]


class Said:
    """What a command said."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"
