#!/usr/bin/env python3
"""The figures of the map: map.py PORTOLAN

  queries   G.V().Count(), a lookup by name and the whole graph on 1 000 interfaces, over one
            HTTP connection that stays open; memory per node
  churn     2 000 changes in one `ip -batch`: seconds until the graph equals the kernel
  answer    30 000 flows in one answer: what the agent grows by while it is written
  stream    100 WebSocket subscribers at 1 000 flow updates a second: share of a core

Times are of this machine; beside them stands what the same client needs for an empty answer of
Python's own HTTP server, in the same run. Needs root for its network namespace.
"""
import atexit
import base64
import http.client
import http.server
import json
import os
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

portolan = os.path.abspath(sys.argv[1])
if os.geteuid() != 0:
    print("SKIPPED map.py: needs root for its network namespace")
    sys.exit(0)
if "INSIDE" not in os.environ:
    home = f"ptb{os.getpid() % 100000}"
    if subprocess.run(["ip", "netns", "add", home]).returncode != 0:
        print("SKIPPED map.py: network namespaces cannot be made here")
        sys.exit(0)
    try:
        subprocess.run(["ip", "-n", home, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", home, sys.executable, *sys.argv]
        code = subprocess.run(inside, env={**os.environ, "INSIDE": home}).returncode
    finally:
        subprocess.run(["ip", "netns", "del", home])
    sys.exit(code)

folder = tempfile.mkdtemp(prefix="portolan-bench-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
PORT = 8082
TICK = os.sysconf("SC_CLK_TCK")


def batch(lines):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode() + b"\n", check=True)


def start(*options):
    config = os.path.join(folder, "conf")
    with open(config, "w") as file:
        file.write("[flow]\nupdate = 1\n[netns]\ndiscovery = no\n[http]\nper_address = 1024\n")
    command = [portolan, "run", "-q", "-c", config, "--socket", os.path.join(folder, "sock"),
               "--state-dir", os.path.join(folder, "state"), "--management-port", "0", *options]
    agent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    atexit.register(agent.kill)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", PORT), 1).close()
            return agent
        except OSError:
            time.sleep(0.02)
    sys.exit("map.py: the agent does not answer")


def rss(agent):
    with open(f"/proc/{agent.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def cpu(agent):
    with open(f"/proc/{agent.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Web:
    def __init__(self, port=PORT):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, query):
        body = json.dumps({"GremlinQuery": query})
        self.connection.request("POST", "/api/topology", body, {"Content-Type": "application/json"})
        return self.connection.getresponse().read()

    def get(self, path):
        self.connection.request("GET", path)
        return self.connection.getresponse().read()


def median(call, times=200):
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e3


def idle_server():
    """What the client itself costs: a server that says nothing."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def queries():
    agent = start()
    time.sleep(1)
    bare = rss(agent)
    batch([f"link add v{n} type veth peer name w{n}" for n in range(500)])
    web = Web()
    end = time.monotonic() + 30
    while int(web.ask("G.V().Has('Type', 'veth').Count()")) < 1000 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(6)
    nodes = int(web.ask("G.V().Count()"))
    held = rss(agent) - bare
    other = Web(idle_server())
    reference = median(lambda: other.ask("G"))
    print(f"queries, {nodes} nodes (Python's server with an empty answer: {reference:.2f} ms)")
    for name, call, gate in [
        ("G.V().Count()", lambda: web.ask("G.V().Count()"), 1),
        ("G.V().Has('Name','v7').Out()", lambda: web.ask("G.V().Has('Name','v7').Out()"), 2),
        ("GET /api/topology", lambda: web.get("/api/topology"), 50),
    ]:
        took = median(call, 50 if gate == 50 else 200)
        print(f"  {name:32} {took:7.2f} ms   {took / reference:6.1f} x   (asked: {gate} ms)")
    print(f"  memory per node                  {held / nodes:7.2f} KiB            (asked: 4 KiB)")
    return agent, web


def churn(agent, web):
    lines = []
    for n in range(500):
        lines += [f"link set v{n} mtu {1400 + n % 50}", f"link set v{n} up",
                  f"addr add 10.9.{n // 250}.{n % 250 + 1}/32 dev v{n}",
                  f"link set w{n} alias x{n}"]
    batch(lines)
    begin = time.perf_counter()
    wanted = 500
    while time.perf_counter() - begin < 30:
        have = int(web.ask("G.V().Has('IPV4', Regex('10[.]9[.].*')).Has('LinkFlags', 'UP').Count()"))
        mtu = int(web.ask("G.V().Has('Name', 'v499', 'MTU', 1449).Count()"))
        if have == wanted and mtu == 1:
            break
        time.sleep(0.02)
    took = time.perf_counter() - begin
    print(f"churn: {len(lines)} changes            {took:7.2f} s              (asked: 2 s)")
    batch([f"link del v{n}" for n in range(500)])


def frames(count):
    """UDP frames of as many flows."""
    made = []
    for n in range(count):
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 29, 0, 0, 64, 17, 0, bytes([10, 8, n >> 14, 1]),
                         bytes([10, 8, 200, 2]))
        udp = struct.pack("!HHHH", 1024 + n % 16384, 9, 9, 0)
        made.append(b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x08\0" + ip + udp + b"x")
    return made


def prepare():
    batch(["link add f0 type veth peer name f1", "link set f0 up", "link set f1 up"])
    web = Web()
    order = {"GremlinQuery": "G.V().Has('Name', 'f1')", "LayerKeyMode": "L3"}
    web.connection.request("POST", "/api/capture", json.dumps(order),
                           {"Content-Type": "application/json"})
    web.connection.getresponse().read()
    end = time.monotonic() + 10
    while int(web.ask("G.V().Has('Captures.State', 'active').Count()")) < 1:
        if time.monotonic() > end:
            sys.exit("map.py: the capture did not start")
        time.sleep(0.05)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind(("f0", 0))
    return web, out


def answer():
    agent = start()
    web, out = prepare()
    for at, frame in enumerate(frames(30_000)):
        out.send(frame)
        if at % 500 == 0:
            time.sleep(0.005)
    time.sleep(1)
    count = int(web.ask("G.Flows().Count()"))
    time.sleep(1)
    before = rss(agent)
    most, done = before, threading.Event()

    def watch():
        nonlocal most
        while not done.is_set():
            most = max(most, rss(agent))
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    begin = time.perf_counter()
    size = len(web.ask("G.Flows()"))
    took = time.perf_counter() - begin
    done.set()
    thread.join()
    print(f"answer: {count} flows, {size / 1e6:.1f} MB in {took:.2f} s: grew by "
          f"{(most - before) / 1024:.2f} MiB    (asked: 1 MiB)")
    agent.kill()
    agent.wait()
    subprocess.run(["ip", "link", "del", "f0"])


def subscribe(name):
    link = socket.create_connection(("127.0.0.1", PORT))
    key = base64.b64encode(os.urandom(16)).decode()
    link.sendall((f"GET /ws/subscriber/flow HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nUpgrade: websocket\r\n"
                  f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                  f"X-Host-ID: {name}\r\nX-Client-Type: bench\r\n\r\n").encode())
    link.setblocking(False)
    return link


class Subscriber:
    """Takes frames apart as far as pings must be answered."""

    def __init__(self, link):
        self.link, self.rest, self.head, self.flows = link, 0, b"", 0

    def take(self, data):
        at = 0
        while at < len(data):
            if self.rest:
                step = min(self.rest, len(data) - at)
                self.flows += data.count(b'"UUID":"', at, at + step)
                self.rest -= step
                at += step
                continue
            self.head += data[at:at + 1]
            at += 1
            if self.head[:4] == b"HTTP":
                if self.head.endswith(b"\r\n\r\n"):
                    self.head = b""
                continue
            if self.head[:1] == b"H" and len(self.head) < 4 or len(self.head) < 2:
                continue
            size = self.head[1]
            need = {126: 4, 127: 10}.get(size, 2)
            if self.head[0] == 0x89:
                need += size
            if len(self.head) < need:
                continue
            if self.head[0] == 0x89:
                payload = self.head[2:]
                self.link.send(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
            else:
                wide = int.from_bytes(self.head[2:need], "big")
                self.rest = wide if size > 125 else size
            self.head = b""


def stream():
    agent = start()
    web, out = prepare()
    made = frames(1_000)
    links = [subscribe(f"s{n}") for n in range(100)]
    received, stop = [0], threading.Event()

    def drain():
        poll = select.epoll()
        by = {link.fileno(): Subscriber(link) for link in links}
        for fd in by:
            poll.register(fd, select.EPOLLIN)
        while not stop.is_set():
            for fd, _ in poll.poll(0.2):
                try:
                    data = by[fd].link.recv(1 << 20)
                except BlockingIOError:
                    continue
                if not data:
                    poll.unregister(fd)
                    continue
                before = by[fd].flows
                by[fd].take(data)
                received[0] += by[fd].flows - before

    reader = threading.Thread(target=drain)
    reader.start()
    for _ in range(2):
        for frame in made:
            out.send(frame)
        time.sleep(1)
    received[0] = 0
    begin, used = time.perf_counter(), cpu(agent)
    for _ in range(10):
        for at, frame in enumerate(made):
            out.send(frame)
        time.sleep(1)
    took, used = time.perf_counter() - begin, cpu(agent) - used
    stop.set()
    reader.join()
    each = received[0] / took / len(links)
    print(f"stream: {len(links)} subscribers that get {each:.0f} flows/s each: "
          f"{100 * used / took:.0f} % of a core    (asked: 30 %)")
    agent.kill()
    agent.wait()
    subprocess.run(["ip", "link", "del", "f0"])


agent, web = queries()
churn(agent, web)
agent.kill()
agent.wait()
answer()
stream()
