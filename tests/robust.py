#!/usr/bin/env python3
"""Abuses the release binary and checks that it holds its promises: robust.py PORTOLAN [--long]

  kill -9   sixty times amid a save: a group is the old one or the new one, never a torn one
  flood     100 000 SYNs of random addresses a second: status in time, memory under the cap, a
            marker flow alive, totals exact (5 s; 20 s with --long)
  clients   500 connections that stall, and 100 000 requests in one pipeline
  web       500 connections over HTTP that stall, read nothing or never end a frame

Needs root for its own network namespaces; without it, or without a C compiler, it says so and
passes. Nothing leaves the namespaces and the loopback interface.
"""
import atexit
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

portolan = os.path.abspath(sys.argv[1])
seconds = 20 if "--long" in sys.argv else 5
here = os.path.dirname(os.path.abspath(__file__))
passed, failed = 0, 0


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {detail}")


class Client:
    """One connection to the Unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def ask(self, **request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.file.readline())


def web_status_times(port, count=20):
    times = []
    for _ in range(count):
        since = time.monotonic()
        one = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        one.request("GET", "/api/status")
        check("web status", "Agents" in json.loads(one.getresponse().read()))
        one.close()
        times.append(time.monotonic() - since)
    return statistics.median(times), max(times)


def start(folder, *options, inside=None):
    path = os.path.join(folder, "agent.sock")
    if os.path.exists(path):
        os.unlink(path)
    command = ["ip", "netns", "exec", inside] if inside else []
    command += [portolan, "--socket", path, "--state-dir", os.path.join(folder, "state"), "--management-port", "0"]
    if "--http" not in options:
        command += ["--http", "off"]
    agent = subprocess.Popen(command + list(options), stderr=subprocess.DEVNULL)
    # Whatever goes wrong here, no agent stays behind.
    atexit.register(agent.kill)
    for _ in range(1000):
        try:
            return agent, path, Client(path)
        except OSError:
            time.sleep(0.01)
    raise SystemExit("the agent does not answer")


def status_times(path, count=20):
    times = []
    for _ in range(count):
        since = time.monotonic()
        check("status", Client(path).ask(command="status")["code"] == 100)
        times.append(time.monotonic() - since)
    return statistics.median(times), max(times)


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def kill_loop(folder):
    old = [f"10.{n // 250}.{n % 250}.1" for n in range(2000)]
    new = [f"11.{n // 250}.{n % 250}.1" for n in range(2000)]
    saved = os.path.join(folder, "state", "address-groups.d")

    def edit(path):
        try:
            client = Client(path)
            while True:
                client.ask(command="add-group-address", group="g", data=old)
                client.ask(command="save-address-group", group="g")
                client.ask(command="add-group-address", group="g", data=new)
                client.ask(command="save-address-group", group="g")
                client.ask(command="remove-group-address", group="g", data=new)
        except (OSError, ValueError):
            pass

    for turn in range(60):
        agent, path, client = start(folder, "-i", "lo")
        reply = client.ask(command="list-address-groups", group="g")
        total = reply.get("data", {}).get("total", 0)
        check("old or new", total in ((0, 2000, 4000) if turn == 0 else (2000, 4000)), f"{total} members")
        stale = [n for n in (os.listdir(saved) if os.path.isdir(saved) else []) if ".tmp" in n or ".bad" in n]
        check("nothing left behind", not stale, stale)
        editor = threading.Thread(target=edit, args=(path,))
        editor.start()
        # Long enough for the first save, then at a moment of its own each time.
        time.sleep(0.1 + (turn * 37 % 100) / 500)
        agent.kill()
        agent.wait()
        editor.join()


def flood(folder):
    sender = os.path.join(folder, "flood")
    if not shutil.which("cc") or subprocess.run(["cc", "-O2", "-o", sender, f"{here}/bench/flood.c"]).returncode:
        print("skipped: no C compiler for the flood")
        return
    near, far = f"ptn{os.getpid()}a", f"ptn{os.getpid()}b"

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True).returncode == 0

    try:
        if not (ip("netns", "add", near) and ip("netns", "add", far)):
            print("skipped: no network namespaces for the flood")
            return
        ip("-n", far, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", near)
        ip("-n", far, "link", "set", "v0", "up")
        ip("-n", near, "link", "set", "v1", "up")
        ip("-n", near, "addr", "add", "10.99.0.1/24", "dev", "v1")
        agent, path, client = start(folder, "-i", "v1", inside=near)
        pid = agent.pid
        time.sleep(0.5)
        before = client.ask(command="status")["data"]["counters"]["packets"]
        sending = subprocess.Popen(["ip", "netns", "exec", far, sender, "v0", "100000", str(seconds)], stdout=subprocess.PIPE)
        time.sleep(seconds / 2)
        median, worst = status_times(path)
        check("status under flood", median < 0.1 and worst < 1, f"median {median}, worst {worst}")
        rss = rss_kib(pid)
        check("memory under flood", rss < 24 * 1024, f"{rss} KiB")
        sent = int(sending.communicate()[0])
        time.sleep(1.5)
        data = client.ask(command="status")["data"]
        counters = data["counters"]
        seen = counters["packets"] - before + counters["kernel_drops"]
        check("everything counted", sent <= seen <= sent + 200, f"{sent} sent, {seen} seen or dropped")
        check("the table is full, not over", data["flow_count"] <= data["flows_max"], data["flow_count"])
        check("evictions are counted", counters["flows_evicted"] > 0)
        marker = client.ask(command="list-flows", host="10.99.0.7")["data"]["flows"]
        check("the marker lives", len(marker) == 1 and marker[0]["total_packets"] >= 36 * seconds, marker)
        print(f"flood: {sent} frames, {counters['kernel_drops']} dropped by the kernel, status median {median * 1000:.1f} ms, {rss} KiB resident")
        agent.terminate()
        check("stops", agent.wait(timeout=5) == 0)
    finally:
        ip("netns", "del", near)
        ip("netns", "del", far)


def clients(folder):
    agent, path, _ = start(folder, "-i", "lo")
    descriptors = lambda: len(os.listdir(f"/proc/{agent.pid}/fd"))
    before = (rss_kib(agent.pid), descriptors())
    says = [b'{"comm', b'{"command":"subscribe"}\n', b'{"command":"status"}' * 50, b" "]
    held = []
    for n in range(500):
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        one.send(says[n % len(says)])
        held.append(one)
    median, worst = status_times(path)
    check("status beside 500 clients", median < 0.1 and worst < 1, f"median {median}, worst {worst}")
    grown = rss_kib(agent.pid) - before[0]
    check("memory of 500 clients", grown <= 16 * 1024, f"{grown} KiB more")
    for one in held:
        one.close()
    time.sleep(0.5)
    check("descriptors return", descriptors() <= before[1] + 2, f"{before[1]} before, {descriptors()} after")

    count = 100_000
    client = Client(path)
    sending = threading.Thread(target=lambda: client.socket.sendall(b'{"command":"verbose"}\n' * count))
    sending.start()
    answers = 0
    while answers < count and b'"code":100' in client.file.readline():
        answers += 1
        if answers == count // 2:
            median, worst = status_times(path)
            check("status beside a pipeline", median < 0.1 and worst < 1, f"median {median}, worst {worst}")
    check("each of a pipeline is answered", answers == count, answers)
    sending.join()
    agent.terminate()
    check("stops", agent.wait(timeout=5) == 0)
    check("the socket is gone", not os.path.exists(path))


def web(folder):
    port = 18000 + os.getpid() % 10000
    agent, path, _ = start(folder, "-i", "lo", "--http", f"127.0.0.1:{port}", "-s", "netns_discovery=no")
    descriptors = lambda: len(os.listdir(f"/proc/{agent.pid}/fd"))
    before = (rss_kib(agent.pid), descriptors())
    head = b"GET /api/topology HTTP/1.1\r\nHost: localhost\r\n"
    upgrade = (
        b"GET /ws/subscriber HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    says = [
        head,
        b"",
        (head + b"\r\n") * 200,
        b"POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 60000,
        upgrade + b"\x01\xfe\xff\xff\x01\x02\x03\x04" + b"x" * 60000,
    ]
    held = []
    for n in range(500):
        one = socket.create_connection(("127.0.0.1", port))
        one.setblocking(False)
        try:
            one.send(says[n % len(says)])
        except OSError:
            pass
        held.append(one)
    median, worst = web_status_times(port)
    check("web status beside 500 clients", median < 0.1 and worst < 1, f"median {median}, worst {worst}")
    grown = rss_kib(agent.pid) - before[0]
    check("memory of 500 web clients", grown <= 16 * 1024, f"{grown} KiB more")
    print(f"web: 500 clients, status median {median * 1000:.1f} ms, {grown} KiB more resident")
    left = time.monotonic() + 20
    slow = [one for n, one in enumerate(held) if n % len(says) == 0][-5:]
    for one in slow:
        one.setblocking(True)
        one.settimeout(max(0.1, left - time.monotonic()))
        try:
            answer = one.recv(4096)
        except ConnectionError:
            # It had to make room for another client.
            answer = b""
        except OSError as error:
            answer = str(error).encode()
        check("a slow head is given up", answer == b"" or b" 408 " in answer[:20], answer)
    for one in held:
        one.close()
    for _ in range(100):
        if descriptors() <= before[1] + 2:
            break
        time.sleep(0.05)
    check("web descriptors return", descriptors() <= before[1] + 2, f"{before[1]} before, {descriptors()} after")
    agent.terminate()
    check("stops", agent.wait(timeout=5) == 0)


if os.geteuid() != 0:
    print("skipped: robust needs root")
    sys.exit(0)
with tempfile.TemporaryDirectory() as temporary:
    kill_loop(temporary)
    flood(temporary)
    clients(temporary)
    web(temporary)
print(f"robust: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
