#!/usr/bin/env python3
"""Speed and memory of portolan beside its peers, in one run. Python standard library only.

    tests/bench/run.py [--quick] [--work FOLDER] [--only PART,...]

Parts: offline (capture files), live (a veth pair; needs root), flows (memory of the flow table),
idle, udp (the management port), size (of the router binary).

Figures are medians, with portolan and its peers measured in turn; CPU is user and system time of
the whole process. A peer that is not installed or fails is "not measured". Nothing here passes or
fails by the clock: the exit code is 0 unless something crashes.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SHARED = ROOT.parent / "shared"
PORTOLAN = TARGET / "release" / "portolan"
PORT = 45644


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n== {text}")


def table(rows):
    """Prints rows of text in columns; the first row is the header."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        first, *rest = (str(cell) for cell in row)
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:])]
        say("  ".join([first.ljust(widths[0]), *cells]).rstrip())


def measured(spend, command, cwd=None, limit=600):
    """Runs a command silently; (CPU seconds, peak RSS in bytes), or None if it failed."""
    try:
        done = subprocess.run([str(word) for word in (spend, *command)], cwd=cwd, timeout=limit,
                              capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        return None
    seconds, peak, status = done.stdout.split()
    return None if int(status) != 0 else (float(seconds), int(peak) * 1024)


def mib(count):
    return f"{count / 2**20:.1f} MiB"


# ---- captures ---------------------------------------------------------------------------------

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def captures(work, quick):
    """The files to read: name, path, packets."""
    sizes = {"mix": 300_000, "flows": 200_000, "small": 100_000} if quick else {
        "mix": 3_000_000, "flows": 1_000_000, "small": 200_000}
    generator = SHARED / "tools" / "gen_bench_pcap.py"
    found = {}
    for kind, packets in sizes.items():
        path = work / f"{kind}-{packets}.pcap"
        if not path.exists():
            say(f"making {path.name} ...")
            partial = path.with_suffix(".part")
            if generator.exists():
                subprocess.run(
                    [sys.executable, str(generator), kind, str(partial), "--packets",
                     str(packets)], check=True, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
            else:
                say("  (../shared/tools is not here: a simpler capture of our own)")
                own_capture(kind, packets, partial)
            partial.rename(path)
        found[kind] = (path, packets)
    folder = SHARED / "pcaps"
    if folder.is_dir():
        repeats = 1 if quick else 20
        path = work / f"shared-{repeats}.pcap"
        count = path.with_suffix(".count")
        if not count.exists():
            say(f"making {path.name} ...")
            count.write_text(str(concatenate(folder, path, repeats)))
        found["shared"] = (path, int(count.read_text()))
    else:
        say("skipped: ../shared/pcaps is not here")
    return found


def concatenate(folder, out, repeats):
    """All Ethernet frames of the pcap and pcapng files of a folder, several times over."""
    records = []
    for path in sorted(folder.rglob("*.pcap*")):
        with contextlib.suppress(struct.error, OSError):
            records.extend(frames_of(path.read_bytes()))
    with out.open("wb") as file:
        file.write(PCAP_HEADER)
        at = 1_700_000_000_000_000
        for _ in range(repeats):
            piece = bytearray()
            for original, data in records:
                at += 20
                piece += struct.pack(
                    "<IIII", at // 1_000_000, at % 1_000_000, len(data), original)
                piece += data
            file.write(piece)
    return len(records) * repeats


def frames_of(data):
    """(length on the wire, bytes) of each Ethernet frame of a file, as far as it is sound."""
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from blocks_of(data)
        return
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">",
             b"\xa1\xb2\x3c\x4d": ">"}.get(magic)
    if order is None or struct.unpack(order + "I", data[20:24])[0] & 0xFFFF != 1:
        return
    at = 24
    while at + 16 <= len(data):
        captured, original = struct.unpack(order + "II", data[at + 8:at + 16])
        frame = data[at + 16:at + 16 + captured]
        if len(frame) < captured or captured > 262144:
            return
        yield original, frame
        at += 16 + captured


def blocks_of(data):
    at, order, links = 0, "<", []
    while at + 12 <= len(data):
        kind = struct.unpack(order + "I", data[at:at + 4])[0]
        if kind == 0x0A0D0D0A:
            order = "<" if data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        length = struct.unpack(order + "I", data[at + 4:at + 8])[0]
        if length < 12 or at + length > len(data):
            return
        if kind == 1:
            links.append(struct.unpack(order + "H", data[at + 8:at + 10])[0])
        elif kind == 6:
            interface, _, _, captured, original = struct.unpack(
                order + "IIIII", data[at + 8:at + 28])
            if interface < len(links) and links[interface] == 1 and captured <= 262144:
                yield original, data[at + 28:at + 28 + captured]
        at += length


def own_capture(kind, packets, out):
    """A stand-in for the shared generator: right headers, invented payload."""
    filler = bytes(range(256)) * 6
    with out.open("wb") as file:
        file.write(PCAP_HEADER)
        for n in range(packets):
            if kind == "mix":
                flow, back = (n * 7919) % 3000 + n // 60_000 * 1000, n % 3 != 0
                payload = filler[:1400 if back and flow % 3 else 60]
                udp, seq = flow % 4 == 0, n
            else:
                flow, back = (n if kind == "flows" else n % 1000), False
                payload, udp, seq = filler[:18 if n % 2 else 6], n % 2 == 1 or kind == "small", 1
            near = struct.pack(">I", 0x0A000001 + flow // 50_000)
            far = struct.pack(">I", 0x5DB80001 + flow % 50_000)
            ports = (1024 + flow % 50_000, 443)
            if udp:
                ends = ports[::-1] if back else ports
                segment = struct.pack(">HHHH", *ends, 8 + len(payload), 0) + payload
            else:
                ends = ports[::-1] if back else ports
                flags = 0x02 if kind == "flows" else 0x10
                segment = struct.pack(
                    ">HHIIBBHHH", *ends, seq & 0xFFFFFFFF, 1, 0x50, flags, 500, 0, 0) + payload
            source, destination = (far, near) if back else (near, far)
            header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), n & 0xFFFF, 0, 64,
                                 17 if udp else 6, 0) + source + destination
            frame = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + header + segment
            at = n * 10
            file.write(struct.pack("<IIII", 1_700_000_000 + at // 1_000_000, at % 1_000_000,
                                   len(frame), len(frame)) + frame)


# ---- offline ----------------------------------------------------------------------------------

def offline(files, work, quick):
    heading("capture files: packets per CPU second, peak memory")
    rounds = 3
    spend = compiled(work, "spend")
    if spend is None:
        return say("not measured: no C compiler")
    for name in ("mix", "flows", "shared"):
        if name not in files:
            continue
        path, packets = files[name]
        with path.open("rb") as file:  # Into the page cache.
            while file.read(1 << 22):
                pass
        flowd = ["softflowd", "-d", "-r", path, "-c", "none", "-p", work / "softflowd.pid"]
        programs = {
            "portolan read": ([PORTOLAN, "read", path], rounds),
            "softflowd -r": (flowd, rounds),
            "ndpiReader -q -i": (["ndpiReader", "-q", "-i", path], 1 if quick else rounds),
            "portolan read --max-flows 8192":
                ([PORTOLAN, "read", "--max-flows", "8192", path], rounds),
            "softflowd -r -m 1000000": (flowd + ["-m", "1000000"], rounds),
            "tcpdump -w /dev/null": (["tcpdump", "-r", path, "-w", "/dev/null"], rounds),
        }
        results = {program: [] for program in programs}
        for turn in range(rounds):
            for program, (command, most) in programs.items():
                if turn < most:
                    results[program].append(measured(spend, command, cwd=work))
        rows = [(f"{name} ({packets} packets)", "packets/CPU s", "ns/packet", "portolan is",
                 "peak memory", "portolan's is")]
        ours = summary(results["portolan read"])
        capped = summary(results["portolan read --max-flows 8192"])
        for program in programs:
            cpu, peak = summary(results[program])
            if cpu is None:
                rows.append((program, "not measured", "", "", "", ""))
                continue
            # Those that keep a million flows are compared with each other, and those that keep
            # 8 192: the peer's own default.
            mine = capped if program == "softflowd -r" else ours
            ratio = "" if program.startswith("portolan") or ours[0] is None else \
                f"{cpu / ours[0]:.2f} x"
            memory = "" if not ratio else f"{mine[1] / peak:.2f} x" + (
                " (at 8192)" if program == "softflowd -r" else "")
            rows.append((program, f"{packets / cpu:,.0f}", f"{cpu / packets * 1e9:.0f}", ratio,
                         mib(peak), memory))
        table(rows)
        say()


def summary(results):
    good = [result for result in results if result]
    if not good:
        return None, None
    return (statistics.median(cpu for cpu, _ in good),
            statistics.median(peak for _, peak in good))


# ---- a running agent --------------------------------------------------------------------------

class Agent:
    """portolan in the foreground, in a namespace if one is given."""

    def __init__(self, work, interface, namespace=None, settings=()):
        self.socket = work / "portolan.sock"
        enter = ["ip", "netns", "exec", namespace] if namespace else []
        command = enter + [PORTOLAN, "-i", interface, "--socket", self.socket,
                           "--management-port", str(PORT), "--state-dir", work / "state", "-q"]
        for setting in settings:
            command += ["-s", setting]
        self.log = (work / "portolan.log").open("wb")
        self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log)

    def __enter__(self):
        for _ in range(100):
            with contextlib.suppress(OSError, ValueError):
                self.status()
                return self
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError("portolan did not start: " + Path(self.log.name).read_text())

    def __exit__(self, *_):
        stop(self.child)
        self.log.close()

    def status(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.socket))
            client.sendall(b'{"command":"status"}\n')
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        return json.loads(answer)["data"]


def stop(child):
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def ran(pid):
    """Nanoseconds that all threads of a process ran, system time included."""
    return sum(int(path.read_text().split()[0])
               for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def rollup(pid, field):
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(),
                      re.M)
    return int(found[1]) * 1024


def switches(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return sum(int(n) for n in re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M))


def idle(work, quick):
    heading("idle, no interface captured")
    with Agent(work, "none0") as agent:
        time.sleep(1)
        pid = agent.child.pid
        before, start = switches(pid), time.monotonic()
        time.sleep(2 if quick else 10)
        wakes = (switches(pid) - before) / (time.monotonic() - start)
        say(f"resident {mib(rollup(pid, 'Rss'))} (own {mib(rollup(pid, 'Private_Dirty'))}), "
            f"{wakes:.2f} wake-ups a second")


def udp(work, quick):
    heading("management port: r N verbose on loopback")
    load = compiled(work, "udpload")
    if load is None:
        return say("not measured: no C compiler")
    count = 20_000 if quick else 100_000
    rows = [("outstanding", "requests/s", "median µs", "99th µs")]
    with Agent(work, "none0"):
        for outstanding in (32, 16, 1):
            runs = []
            for _ in range(3):
                done = subprocess.run([str(load), str(PORT), str(count), str(outstanding)],
                                      capture_output=True, text=True, check=False)
                if done.stdout:
                    seconds, answered, median, tail = map(float, done.stdout.split())
                    runs.append((answered / seconds, median, tail))
            if runs:
                rate, median, tail = sorted(runs)[len(runs) // 2]
                rows.append((outstanding, f"{rate:,.0f}", f"{median:.1f}", f"{tail:.1f}"))
    table(rows)


def flows(quick):
    heading("flow table alone")
    command = [str(TARGET / "release" / "examples" / "flow_table")]
    subprocess.run(command + (["1000000"] if quick else []), check=True)


def size():
    path = TARGET / "router" / "portolan"
    heading("size")
    say(f"router binary, stripped, {os.uname().machine}: {path.stat().st_size / 1024:.0f} KiB")


def compiled(work, name):
    """A C program beside this script, compiled; None without a compiler."""
    out = work / name
    if shutil.which("cc") is None:
        return None
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(out), str(HERE / f"{name}.c")], check=True)
    return out


# ---- live -------------------------------------------------------------------------------------

class Lab:
    """Two namespaces with a veth pair: frames sent into vb arrive on va."""

    def __init__(self):
        self.here, self.there = (f"ptlbench{os.getpid()}{side}" for side in "ab")

    def __enter__(self):
        a, b = self.here, self.there
        for command in (f"netns add {a}", f"netns add {b}", f"-n {a} link set lo up",
                        f"-n {a} link add va type veth peer name vb netns {b}",
                        f"-n {a} link set va addrgenmode none up",
                        f"-n {b} link set vb addrgenmode none up"):
            subprocess.run(["ip", *command.split()], check=True)
        return self

    def __exit__(self, *_):
        for namespace in (self.here, self.there):
            subprocess.run(["ip", "netns", "del", namespace], check=False)

    def received(self):
        text = subprocess.run(["ip", "-n", self.here, "-j", "-s", "link", "show", "va"],
                              capture_output=True, check=True).stdout
        return json.loads(text)[0]["stats64"]["rx"]["packets"]

    def send(self, path, loops, rate):
        """Replays; how many frames a second left."""
        speed = ["--topspeed"] if rate is None else [f"--pps={rate}"]
        done = subprocess.run(
            ["ip", "netns", "exec", self.there, "tcpreplay", "-q", "-K", *speed,
             f"--loop={loops}", "-i", "vb", str(path)],
            capture_output=True, text=True, check=False)
        found = re.search(r"([\d.]+) pps", done.stdout)
        return float(found[1]) if found else 0.0


def cut(path, packets, out):
    """The first packets of a capture, for the replay to hold in memory."""
    if out.exists():
        return out
    with path.open("rb") as source, out.open("wb") as file:
        file.write(source.read(24))
        for _ in range(packets):
            head = source.read(16)
            if len(head) < 16:
                break
            file.write(head + source.read(struct.unpack("<I", head[8:12])[0]))
    return out


def live(files, work, quick):
    heading("live over a veth pair: loss, CPU per packet")
    if os.geteuid() != 0:
        return say("skipped: needs root for namespaces and packet sockets")
    for tool in ("ip", "tcpreplay"):
        if shutil.which(tool) is None:
            return say(f"skipped: {tool} is not installed")
    count = compiled(work, "tp3count")
    most = 50_000 if quick else 200_000
    replays = [("small", cut(files["small"][0], most, work / f"small-cut-{most}.pcap")),
               ("mix", cut(files["mix"][0], most, work / f"mix-cut-{most}.pcap"))]
    seconds = 1 if quick else 4
    rates = [200_000, None] if quick else [200_000, 400_000, None]
    rows = [("frames", "rate asked", "program", "sent/s", "arrived", "lost", "CPU ns/packet")]
    for name, path in replays:
        for rate in rates:
            loops = max(1, round((rate or 800_000) * seconds / most))
            for program, watch in (
                    ("portolan", watch_portolan), ("tp3count", watch_counter),
                    ("tcpdump", watch_tcpdump), ("softflowd", watch_softflowd)):
                if quick and program in ("tcpdump", "softflowd"):
                    continue
                with Lab() as lab:
                    outcome = watch(lab, work, path, loops, rate, count)
                row = (name, f"{rate:,}" if rate else "full", program)
                if outcome is None:
                    rows.append((*row, "not measured", "", "", ""))
                    continue
                sent, arrived, seen, cpu = outcome
                lost = max(0, arrived - seen)
                rows.append((*row, f"{sent:,.0f}", f"{arrived:,}",
                             f"{lost:,} ({100 * lost / max(arrived, 1):.2f} %)",
                             f"{cpu / max(seen, 1):.0f}"))
    table(rows)


def watch_portolan(lab, work, path, loops, rate, _count, settings=()):
    with Agent(work, "va", lab.here, settings) as agent:
        pid = agent.child.pid
        time.sleep(0.3)
        cpu, start = ran(pid), lab.received()
        before = agent.status()["counters"]["packets"]
        sent = lab.send(path, loops, rate)
        time.sleep(0.3)
        cpu = ran(pid) - cpu
        seen = agent.status()["counters"]["packets"] - before
        return sent, lab.received() - start, seen, cpu


def watch_other(lab, command, path, loops, rate, seen, work, wait=0.5):
    log = work / "peer.log"
    with log.open("wb") as out:
        try:
            child = subprocess.Popen(
                ["ip", "netns", "exec", lab.here, *(str(word) for word in command)], cwd=work,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        except OSError:
            return None
        try:
            time.sleep(wait)
            if child.poll() is not None:
                return None
            cpu, start = ran(child.pid), lab.received()
            sent = lab.send(path, loops, rate)
            time.sleep(0.3)
            cpu = ran(child.pid) - cpu
            arrived = lab.received() - start
            early = seen(None)
        finally:
            stop(child)
    packets = early if early is not None else seen(log.read_text(errors="replace"))
    return None if packets is None else (sent, arrived, packets, cpu)


def watch_counter(lab, work, path, loops, rate, count):
    def seen(text):
        return int(text.split()[0]) if text else None
    if count is None:
        return None
    return watch_other(lab, [count, "va"], path, loops, rate, seen, work)


def watch_tcpdump(lab, work, path, loops, rate, _count):
    def seen(text):
        found = re.search(r"(\d+) packets captured", text or "")
        return int(found[1]) if found else None
    if shutil.which("tcpdump") is None:
        return None
    command = ["tcpdump", "-i", "va", "-w", "/dev/null"]
    return watch_other(lab, command, path, loops, rate, seen, work)


def watch_softflowd(lab, work, path, loops, rate, _count):
    control = work / "softflowd.ctl"

    def seen(text):
        if text is not None:
            return None
        done = subprocess.run(["softflowctl", "-c", str(control), "statistics"],
                              capture_output=True, text=True, check=False)
        found = re.search(r"Packets processed: (\d+)", done.stdout)
        return int(found[1]) if found else None
    if shutil.which("softflowd") is None:
        return None
    command = ["softflowd", "-d", "-i", "va", "-c", control, "-p", work / "softflowd.pid"]
    return watch_other(lab, command, path, loops, rate, seen, work)


# ---- all of it --------------------------------------------------------------------------------

PARTS = ("offline", "live", "flows", "idle", "udp", "size")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller files, below a minute")
    parser.add_argument("--work", type=Path, help="where captures are kept (default: a folder "
                        "of the system's for temporary files)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    options = parser.parse_args()
    parts = options.only.split(",")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    work = (options.work or Path(tempfile.gettempdir()) / "portolan-bench").resolve()
    work.mkdir(parents=True, exist_ok=True)
    cargo = ["cargo", "build", "--locked", "--quiet"]
    subprocess.run([*cargo, "--release", "--bin", "portolan", "--example", "flow_table"],
                   cwd=ROOT, check=True)
    if "size" in parts:
        subprocess.run([*cargo, "--profile", "router", "--bin", "portolan"], cwd=ROOT, check=True)
    say(f"portolan beside its peers: {os.cpu_count()} cores, kernel {os.uname().release}, load "
        f"{os.getloadavg()[0]:.1f}")
    files = captures(work, options.quick) if {"offline", "live"} & set(parts) else {}
    if "offline" in parts:
        offline(files, work, options.quick)
    if "live" in parts:
        live(files, work, options.quick)
    if "flows" in parts:
        flows(options.quick)
    if "idle" in parts:
        idle(work, options.quick)
    if "udp" in parts:
        udp(work, options.quick)
    if "size" in parts:
        size()


if __name__ == "__main__":
    main()
