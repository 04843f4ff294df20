#!/usr/bin/env python3
"""The figures of live packets: packets.py PORTOLAN [--quick]

  steady    100 000 small packets a second over a WebSocket to a reader that keeps up: losses, CPU
            of the agent per packet
  full      as fast as one sender goes: what a WebSocket and `portolan capture -w /dev/null` keep
            beside `tcpdump -w /dev/null` and `dumpcap -w -`, on the same pair, in turn
  lone      how long one packet takes to its reader
  memory    what eight sessions cost besides their rings
  stalled   what a reader costs that reads nothing, and whether its losses are told

Ratios hold within one run. Needs root for its network namespaces, and a C compiler.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
portolan = os.path.abspath(sys.argv[1])
quick = "--quick" in sys.argv


def skip(why):
    print(f"SKIPPED bench/packets.py: {why}")
    sys.exit(0)


if os.geteuid() != 0:
    skip("needs root for its network namespaces")
if shutil.which("cc") is None:
    skip("needs a C compiler")
if "INSIDE" not in os.environ:
    home = f"ptp{os.getpid() % 100000}"
    if subprocess.run(["ip", "netns", "add", home]).returncode != 0:
        skip("network namespaces cannot be made here")
    try:
        subprocess.run(["ip", "-n", home, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", home, sys.executable, *sys.argv]
        code = subprocess.run(inside, env={**os.environ, "INSIDE": home}).returncode
    finally:
        subprocess.run(["ip", "netns", "del", home])
    sys.exit(code)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)

from lab import Agent, Bare, Space, ip, wait  # noqa: E402

folder = tempfile.mkdtemp(prefix="portolan-bench-")
for tool in ("blast", "count"):
    subprocess.run(["cc", "-O2", "-o", f"{folder}/{tool}", f"{HERE}/{tool}.c"], check=True)
BLAST, COUNT = f"{folder}/blast", f"{folder}/count"
PORT = 7777
seconds = 2 if quick else 5

far = Space(os.environ["INSIDE"] + "-far")
ip("link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far.name)
for here, name in ((ip, "v0"), (far.ip, "v1")):
    here("link", "set", name, "addrgenmode", "none")
    here("link", "set", name, "up")
own = os.stat("/proc/self/ns/net").st_ino
# The engine watches something else: what is measured here are sessions alone.
agent = Agent(portolan, folder, "-i", "none0", "-s", "packet_sessions=16", "-s",
              "http_per_address=256")
base = f"netns={own}&nif=v0&chaste"


def ran(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def arrived():
    with open("/sys/class/net/v0/statistics/rx_packets") as file:
        return int(file.read())


def blast(rate, length=60):
    out = subprocess.run(["ip", "netns", "exec", far.name, BLAST, "v1", str(rate), str(seconds),
                          str(length)], capture_output=True, text=True, check=True).stdout.split()
    return int(out[0]), float(out[1])


def settle(sessions):
    """Waits until so many sessions are there."""
    wait(lambda: len(agent.ask(command="packet-sessions")["data"]["rows"]) == sessions, 10)


def websocket(rate):
    reader = subprocess.Popen([COUNT, "5001", f"/capture?{base}"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    reader.stderr.readline()
    before, cpu = arrived(), ran(agent.pid)
    sent, took = blast(rate)
    time.sleep(1.5)
    cpu, came = ran(agent.pid) - cpu, arrived() - before
    reader.terminate()
    # A reader that waits for more wakes with one more packet.
    far.raw("v1").send(bytes(60))
    counts = [int(word) for word in reader.communicate(timeout=10)[0].split()]
    settle(0)
    return counts[0] - 1 if counts[0] > came else counts[0], came, cpu, sent / took


def piped(command, cwd=None):
    """A program that writes a stream to its output."""
    one = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reader = subprocess.Popen([COUNT, "-"], stdin=one.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    one.stdout.close()
    return one, reader


def own_command():
    one = subprocess.Popen([portolan, "capture", "--socket", agent.path, "-i", "v0", "-p", "-w",
                            "/dev/null"], stderr=subprocess.PIPE, text=True)
    settle(1)
    before = arrived()
    sent, took = blast(0)
    came = arrived() - before
    kept, last = None, -1
    while kept != last:
        last = kept
        time.sleep(0.5)
        rows = agent.ask(command="packet-sessions")["data"]["rows"]
        kept = next((value for row in rows for key, value in row.items()
                     if key in ("pkts", "packets")), 0)
    one.terminate()
    one.communicate(timeout=10)
    settle(0)
    return kept, came, None, sent / took


def tcpdump():
    one = subprocess.Popen(["tcpdump", "-p", "-n", "-i", "v0", "-w", "/dev/null"],
                           stderr=subprocess.PIPE, text=True)
    one.stderr.readline()
    time.sleep(0.3)
    before = arrived()
    sent, took = blast(0)
    came = arrived() - before
    time.sleep(0.5)
    one.terminate()
    said = one.communicate(timeout=10)[1].split()
    return int(said[said.index("packets") - 1]), came, None, sent / took


def dumpcap():
    one, reader = piped(["dumpcap", "-q", "-n", "-p", "-i", "v0", "-w", "-"])
    time.sleep(1)
    before = arrived()
    sent, took = blast(0)
    came = arrived() - before
    time.sleep(0.5)
    one.terminate()
    one.wait(10)
    counts = reader.communicate(timeout=10)[0].split()
    return int(counts[0]), came, None, sent / took


def steady():
    print("\n== 100 000 packets of 60 octets a second over a WebSocket")
    runs = [websocket(100_000) for _ in range(1 if quick else 3)]
    for kept, came, cpu, rate in runs:
        print(f"{came:,} came ({rate:,.0f}/s), {came - kept:,} lost, agent "
              f"{cpu / 1000 / max(kept, 1):.2f} µs CPU per packet")


def full():
    print("\n== as fast as one sender goes: part of what came that was kept")
    programs = {"tcpdump -w /dev/null": tcpdump, "portolan over WebSocket": lambda: websocket(0),
                "portolan capture -w /dev/null": own_command, "dumpcap -w -": dumpcap}
    if shutil.which("tcpdump") is None or shutil.which("dumpcap") is None:
        print("not measured: tcpdump or dumpcap is not installed")
        return
    results = {name: [] for name in programs}
    for _ in range(1 if quick else 5):
        for name, measure in programs.items():
            kept, came, _, rate = measure()
            results[name].append((kept / seconds, kept / max(came, 1), rate))
    peer = statistics.median(kept for kept, _, _ in results["tcpdump -w /dev/null"])
    for name, runs in results.items():
        kept = statistics.median(run[0] for run in runs)
        print(f"{name:30} {kept:>10,.0f}/s kept, {statistics.median(r[1] for r in runs):>6.1%} of "
              f"what came ({statistics.median(r[2] for r in runs):,.0f}/s sent), "
              f"{kept / peer:.2f} x tcpdump")


def lone():
    reader = Bare(query=f"{base}&filter=udp+port+{PORT}")
    reader.frame()
    raw = far.raw("v1")
    frame = bytes.fromhex("ffffffffffff0200000000010800" "4500001c00000000401100000a0100020a010001"
                          "03e71e6100080000") + bytes(18)
    delays = []
    for number in range(20 if quick else 100):
        time.sleep(0.02 + 0.0037 * (number % 11))
        since = time.monotonic()
        raw.send(frame)
        reader.frame()
        delays.append((time.monotonic() - since) * 1000)
    reader.send(0x88, b"\x03\xe8")
    reader.socket.close()
    print(f"\n== a lone packet: {statistics.median(delays):.1f} ms in the median, "
          f"{sorted(delays)[len(delays) * 9 // 10]:.1f} in nine of ten, {max(delays):.1f} at worst")


def memory():
    settle(0)
    before = agent.rss()
    readers = [subprocess.Popen([COUNT, "5001", f"/capture?{base}"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True) for _ in range(8)]
    for reader in readers:
        reader.stderr.readline()
    idle = agent.rss() - before
    blast(20_000)
    busy = agent.rss() - before
    for reader in readers:
        reader.kill()
        reader.wait()
    print(f"\n== eight sessions besides their rings: {idle} KiB, {busy} KiB after traffic "
          f"({busy / 8:.0f} each)")
    settle(0)


def stalled():
    before = agent.rss()
    reader = Bare(query=base, buffer=4096)
    settle(1)
    sent, _ = blast(100_000, 500)
    grown = agent.rss() - before
    print(f"\n== a reader that reads nothing of {sent:,} packets: {grown} KiB more")
    reader.reset()
    settle(0)


steady()
full()
lone()
memory()
stalled()
agent.stop()
shutil.rmtree(folder, ignore_errors=True)
