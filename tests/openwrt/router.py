"""A stand-in for a router: a root of its own with busybox, the agent, the service files and, for
OpenWrt's libraries, the scripts below `root/`, which write down what they are asked. Everything in
it runs by busybox in a chroot, in a network namespace of its own.
"""
import atexit
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FILES = os.path.join(TOP, "openwrt", "portolan", "files")
# Where the package puts each of its files.
PLACES = [
    ("portolan.config", "etc/config/portolan", 0o600),
    ("portolan.init", "etc/init.d/portolan", 0o755),
    ("portolan.capabilities", "etc/capabilities/portolan.json", 0o644),
]

# Of the facility daemon.
PRIORITIES = {24 + 3: "err", 24 + 5: "notice"}


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


def stripped(program):
    """A smaller copy of the agent, if strip is here: it is copied and packed often."""
    if program not in stripped.copies:
        copy = os.path.join(tempfile.gettempdir(), f"portolan-stripped-{os.getpid()}")
        made = shutil.which("strip") and subprocess.run(["strip", "-o", copy, program], check=False).returncode == 0
        stripped.copies[program] = copy if made else program
        if made:
            atexit.register(os.unlink, copy)
    return stripped.copies[program]


stripped.copies = {}


class Router:
    """One such root; `with` it, so that nothing stays."""

    def __init__(self, program, installed=True):
        self.program = stripped(program)
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
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(self.at("dev/log"))
        self.logged = []
        # Whoever logs waits when nobody reads.
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
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
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
            sender.sendto(b"", self.at("dev/log"))
        self.reader.join(10)
        self.log.close()
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

    def read_log(self):
        while True:
            text = self.log.recv(65536).decode(errors="replace").rstrip("\0\n")
            if not text:
                return
            number, text = re.fullmatch(r"<(\d+)>.{15} (.*)", text, re.DOTALL).groups()
            self.logged.append((PRIORITIES[int(number)], text))

    def syslog(self):
        """Priority and text of what was logged since this was last asked."""
        # What is logged by a command that has ended stands before this in the queue.
        mark = ("notice", f"mark {time.monotonic_ns()}")
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
            sender.sendto(f"<29>Jan  1 00:00:00 {mark[1]}".encode(), self.at("dev/log"))
        until = time.monotonic() + 10
        while mark not in self.logged and time.monotonic() < until:
            time.sleep(0.001)
        found, self.logged = self.logged[:self.logged.index(mark)], []
        return found

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
