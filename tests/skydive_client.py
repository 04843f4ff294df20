#!/usr/bin/env python3
"""Drives the agent with Skydive's own client, unmodified: skydive_client.py PORTOLAN

The package skydive-client 0.10.0 comes from PyPI into target/venv (tests/setup.sh makes it), and
this script runs itself with that Python. Everything happens in network namespaces that it makes
and removes. Needs root, ip and curl; without them, or without the package, it says so and passes.
"""
import atexit
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(here)
portolan = os.path.abspath(sys.argv[1])
venv = os.path.join(root, "target", "venv", "bin")
prefix = f"pt{os.getpid() % 100000}"
passed, failed, skipped = 0, 0, 0


def skip(why):
    print(f"SKIPPED skydive_client.py: {why}")
    sys.exit(0)


if os.geteuid() != 0:
    skip("needs root for its network namespaces")
if not os.path.exists(os.path.join(venv, "python3")):
    skip("target/venv with skydive-client is not there: tests/setup.sh test makes it")
if "INSIDE" not in os.environ:
    home = f"{prefix}-home"
    if subprocess.run(["ip", "netns", "add", home]).returncode != 0:
        skip("network namespaces cannot be made here")
    try:
        subprocess.run(["ip", "-n", home, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", home, os.path.join(venv, "python3"), *sys.argv]
        code = subprocess.run(inside, env={**os.environ, "INSIDE": home}).returncode
    finally:
        subprocess.run(["ip", "netns", "del", home])
    sys.exit(code)

home = os.environ["INSIDE"]
prefix = home.removesuffix("-home")
from skydive.rest.client import BadRequest, RESTClient  # noqa: E402
from skydive.websocket.client import WSClient, WSClientDebugProtocol, WSMessage  # noqa: E402

# `ip netns exec` has made a mount namespace: what others call their namespaces is not seen here.
if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"]).returncode != 0:
    skip("a file system of its own cannot be mounted here")
folder = tempfile.mkdtemp(prefix="portolan-skydive-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
PORT = 8082
ADDRESS = f"127.0.0.1:{PORT}"


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {str(detail)[:600]}", flush=True)


def until(what, condition, seconds=10.0):
    """Waits until the condition gives something true, and gives it back."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (BadRequest, OSError) as error:
            last = error
        time.sleep(0.05)
    check(what, False, f"not within {seconds} s; last seen: {last!r}")
    return None


def refused(what, call, text):
    try:
        check(what, False, f"was taken: {call()!r}")
    except BadRequest as error:
        check(what, text in str(error), error)


def ip(*words, quiet=False):
    error = subprocess.DEVNULL if quiet else None
    return subprocess.run(["ip", *words], check=not quiet, stderr=error)


def inside(space, *command, **options):
    return subprocess.run(["ip", "netns", "exec", space, *command], **options)


class Agent:
    def __init__(self, *options):
        self.log = open(os.path.join(folder, "log"), "ab")
        command = [portolan, "run", "--socket", os.path.join(folder, "sock"), "--state-dir",
                   os.path.join(folder, "state"), *options]
        self.process = subprocess.Popen(command, stderr=self.log)
        atexit.register(self.process.kill)
        until("the agent answers", self.answers)

    def answers(self):
        with socket.create_connection(("127.0.0.1", PORT), 1):
            return True

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        check("SIGTERM ends the agent", self.process.wait(5) == 0)


class Listener:
    """A WebSocket client of the package in a process of its own; what it gets are JSON lines."""

    PROGRAM = textwrap.dedent("""
        import json, sys
        from skydive.websocket.client import WSClient, WSClientDebugProtocol

        class Protocol(WSClientDebugProtocol):
            def onOpen(self):
                super().onOpen()
                print(json.dumps({"Type": "open"}), flush=True)

            def onMessage(self, payload, isBinary):
                print(payload.decode(), flush=True)

            def onClose(self, wasClean, code, reason):
                print(json.dumps({"Type": "close", "Code": code}), flush=True)
                self.stop()

        options = json.loads(sys.argv[3])
        client = WSClient(sys.argv[1], sys.argv[2], protocol=Protocol, **options)
        client.connect()
        client.start()
    """)

    def __init__(self, name, path, **options):
        command = [sys.executable, "-c", self.PROGRAM, name, f"ws://{ADDRESS}{path}",
                   json.dumps(options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        self.messages = []
        threading.Thread(target=self.read, daemon=True).start()
        until(f"{name} is connected", lambda: self.got(lambda m: m["Type"] == "open"))

    def read(self):
        for line in self.process.stdout:
            self.messages.append(json.loads(line))

    def got(self, wanted):
        return [message for message in list(self.messages) if wanted(message)]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def make(space):
    ip("netns", "add", space)
    atexit.register(lambda: ip("netns", "del", space, quiet=True))
    ip("-n", space, "link", "set", "lo", "up")


def curl(*options, data=None):
    command = ["curl", "-sS", "-i", "--max-time", "10", *options]
    if data is not None:
        command += ["--data-binary", data, "-H", "Content-Type: application/json"]
    out = subprocess.run(command, capture_output=True).stdout.decode()
    head, _, body = out.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


# A network to look at: two namespaces behind a bridge.
vm1, vm2, vm3 = (f"{prefix}-vm{n}" for n in (1, 2, 3))
ip("link", "add", "br0", "type", "bridge")
ip("addr", "add", "10.77.0.254/24", "dev", "br0")
ip("link", "set", "br0", "up")
for number, space in ((1, vm1), (2, vm2)):
    make(space)
    ip("link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
    ip("link", "set", f"veth{number}", "master", "br0", "up")
    ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
    ip("-n", space, "link", "set", "eth0", "up")

config = os.path.join(folder, "quick.conf")
with open(config, "w") as file:
    file.write("[flow]\nupdate = 1\napplication_ports_udp = 5555:PHONE\n")
agent = Agent("-c", config)
rest = RESTClient(ADDRESS)
lookup = rest.lookup

# --- Lookups ------------------------------------------------------------------------------------
vm1_node = until("a namespace is a node",
                 lambda: rest.lookup_nodes(f"G.V().Has('Name', '{vm1}', 'Type', 'netns')"))[0]
check("its path is spelled as configured", vm1_node.metadata["Path"] == f"/var/run/netns/{vm1}",
      vm1_node.metadata)
inside_vm1 = f"G.V().Has('Name', '{vm1}').Out('Name', 'eth0')"
eth0 = until("its interface is a node", lambda: rest.lookup_nodes(
    inside_vm1 + ".Has('IPV4', '10.77.0.1/24').Has('LinkFlags', 'UP')"))[0]
check("the interface has a TID", re.fullmatch(r"[0-9a-f-]{36}", eth0.metadata["TID"]))
edges = until("the pair has one edge", lambda: rest.lookup_edges(
    f"G.V('{eth0.id}').BothE('RelationType', 'layer2')"))
check("one edge a pair", len(edges) == 1 and edges[0].metadata["Type"] == "veth", edges)
bridge = until("the bridge has its ports", lambda: [
    n for n in rest.lookup_nodes("G.V().Has('Name', 'br0').Out('Type', 'veth')")
    if n.metadata["Name"] == "veth1"])
check("count is a number", isinstance(lookup("G.V().Count()"), int))
check("the path from one namespace to the other", until("path", lambda: [
    n["Metadata"]["Name"] for n in lookup(
        inside_vm1 + ".ShortestPathTo(Metadata('Name', 'br0'), Metadata('RelationType', 'layer2'))")[0]
]) == ["eth0", "veth1", "br0"])
refused("a query that is none", lambda: lookup("G.Foo()"), "Expected step function, got: Foo")

# --- The seed, pasted ---------------------------------------------------------------------------
status, head, body = curl("-X", "POST", f"http://{ADDRESS}/api/topology",
                          data='{\n  "GremlinQuery":"G.V()"\n}')
check("the seed's query", status == 200 and "application/json; charset=UTF-8" in head, head)
check("nodes as in the seed", {"Host", "ID", "Metadata"} <= set(json.loads(body)[0]), body)
tid = eth0.metadata["TID"]
seed = json.dumps({"GremlinQuery": f"g.V().Has('TID', '{tid}')"})
status, head, body = curl("-X", "POST", f"http://{ADDRESS}/api/capture", data=seed)
made = json.loads(body)
check("the seed's capture", status == 201 and made["GremlinQuery"].startswith("g.V()"), body)
status, _, body = curl(f"http://{ADDRESS}/api/capture", "-H", "Content-Type: application/json")
check("the seed's list", status == 200 and made["UUID"] in json.loads(body), body)
until("it is active on one node",
      lambda: json.loads(curl(f"http://{ADDRESS}/api/capture")[2])[made["UUID"]]["Count"] == 1)
inside(vm1, "ping", "-c", "3", "-i", "0.2", "-q", "10.77.0.2", stdout=subprocess.DEVNULL)
# Packets come with a delay of some milliseconds.
until("six packets are counted", lambda: lookup(
    "G.Flows().Has('LayersPath', 'Ethernet/IPv4/ICMPv4').Has('Metric.BAPackets', 3)"))
status, _, body = curl("-X", "POST", f"http://{ADDRESS}/api/topology",
                       data='{"GremlinQuery":"G.Flows().Has(\'LayersPath\', \'Ethernet/IPv4/ICMPv4\').Limit(1)"}')
flow = json.loads(body)[0]
check("the seed's flow", flow["Network"] == {"Protocol": "IPV4", "A": "10.77.0.1", "B": "10.77.0.2",
                                             "ID": 0} and flow["NodeTID"] == tid, flow)
check("both directions are counted", flow["Metric"]["ABPackets"] == 3
      and flow["Metric"]["BAPackets"] == 3 and flow["Metric"]["ABBytes"] == 294, flow["Metric"])
check("the ends are named", flow["ANodeTID"] == tid, flow)
check("a round trip was measured", 0 < flow["Metric"]["RTT"] < 1e9, flow["Metric"])
status, head, _ = curl("-X", "DELETE", f"http://{ADDRESS}/api/capture/{made['UUID']}",
                       "-H", "Content-Type: application/json")
check("the seed's delete", status == 200, head)
until("its flows go with it", lambda: lookup("G.Flows()") == [])

# --- Captures -----------------------------------------------------------------------------------
capture = rest.capture_create(inside_vm1, name="one", description="d", extra_tcp_metric=True,
                              bpf_filter="icmp or tcp", raw_pkt_limit=5, header_size=512)
check("what was asked for comes back", (capture.name, capture.bpf_filter) == ("one", "icmp or tcp"))
refused("the same again", lambda: rest.capture_create(inside_vm1, bpf_filter="icmp or tcp"),
        "duplicated resource")
refused("a filter that is none", lambda: rest.capture_create("G.V()", bpf_filter="tcp and"),
        "BPFFilter: Not a valid BPF expression")
refused("a query that is none", lambda: rest.capture_create("G.V("),
        "GremlinQuery: Not a valid Gremlin expression")
refused("a type that is none", lambda: rest.capture_create("G.V()", capture_type="x"),
        "Not a valid capture type")
until("the node shows its capture", lambda: rest.lookup_nodes(
    f"G.V().Has('Captures.ID', '{capture.uuid}').Has('Captures.State', 'active')"))
inside(vm1, "ping", "-c", "2", "-i", "0.2", "-q", "10.77.0.2", stdout=subprocess.DEVNULL)
flows = until("flows of one node", lambda: lookup(
    inside_vm1 + ".Flows().Has('Application', 'ICMPv4', 'RawPacketsCaptured', 4)"))
check("flows name their capture", flows[0]["CaptureID"] == capture.uuid
      and flows[0]["CaptureName"] == "one", flows[0])
raw = lookup(inside_vm1 + ".Flows().RawPackets()")
packets = next(iter(raw[0].values()))
check("packets are kept", len(packets) == 4 and packets[0]["LinkType"] == 1, raw)
out = subprocess.run(["curl", "-sS", f"http://{ADDRESS}/api/topology", "-H",
                      "Accept: application/vnd.tcpdump.pcap", "-H",
                      "Content-Type: application/json", "-d",
                      json.dumps({"GremlinQuery": "G.Flows().RawPackets()"})],
                     capture_output=True).stdout
check("packets as a pcap file", out[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") and
      len(out) > 24 + 4 * 16, out[:40])
dot = subprocess.run(["curl", "-sS", f"http://{ADDRESS}/api/topology", "-H",
                      "Accept: text/vnd.graphviz", "-H", "Content-Type: application/json", "-d",
                      '{"GremlinQuery":"G"}'], capture_output=True).stdout.decode()
check("the graph as a drawing", dot.startswith("digraph g") and "br0-" in dot, dot[:100])

# A capture of what is not there yet.
later = rest.capture_create(f"G.V().Has('Name', '{vm3}').Out('Name', 'eth0')", name="later")
check("it waits", [c.count for c in rest.capture_list() if c.uuid == later.uuid] in ([0], [None]))
make(vm3)
ip("link", "add", "veth3", "type", "veth", "peer", "name", "eth0", "netns", vm3)
ip("link", "set", "veth3", "master", "br0", "up")
ip("-n", vm3, "addr", "add", "10.77.0.3/24", "dev", "eth0")
ip("-n", vm3, "link", "set", "eth0", "up")
until("it is attached to the namespace that came later", lambda: rest.lookup_nodes(
    f"G.V().Has('Captures.ID', '{later.uuid}', 'Captures.State', 'active')"))
inside(vm3, "ping", "-c", "1", "-q", "10.77.0.1", stdout=subprocess.DEVNULL)
until("and delivers flows", lambda: lookup(
    f"G.Flows().Has('CaptureName', 'later', 'Network', '10.77.0.3', 'Application', 'ICMPv4')"))
pings = "G.Flows().Has('Network', '10.77.0.3', 'Application', 'ICMPv4')"
until("it was seen on two nodes", lambda: lookup(pings + ".Count()") == 2)
same = set(lookup(pings + ".Values('TrackingID')"))
check("one flow on two nodes has one tracking id", len(same) == 1, same)
ip("netns", "del", vm3)
until("a namespace that goes takes its nodes with it",
      lambda: lookup(f"G.V().Has('Name', '{vm3}')") == [])
check("and its capture waits again", until("count", lambda: [
    c["Count"] for c in json.loads(curl(f"http://{ADDRESS}/api/capture")[2]).values()
    if c["UUID"] == later.uuid] == [0]))
check("DELETE gives text", rest.capture_delete(later.uuid) == b"")
refused("deleted is deleted", lambda: rest.capture_delete(later.uuid),
        f"Capture '{later.uuid}' not found")

# Captures that send elsewhere what they see.
collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
collector.bind(("127.0.0.1", 0))
collector.settimeout(10)
away = rest.capture_create(f"G.V().Has('Name', 'veth2')", name="away", target_type="netflowv5",
                           target=f"127.0.0.1:{collector.getsockname()[1]}")
until("it is active", lambda: lookup(f"G.V().Has('Captures.ID', '{away.uuid}').Count()") == 1)
inside(vm1, "ping", "-c", "2", "-i", "0.2", "-q", "10.77.0.2", stdout=subprocess.DEVNULL)
records = []
try:
    while not any(r[0:8] == bytes([10, 77, 0, 1, 10, 77, 0, 2]) and r[38] == 1 for r in records):
        datagram = collector.recv(2048)
        version, count = datagram[1], int.from_bytes(datagram[2:4], "big")
        check("NetFlow version 5", version == 5 and len(datagram) == 24 + 48 * count, datagram)
        records += [datagram[24 + 48 * n:72 + 48 * n] for n in range(count)]
    check("packets and bytes of IP", any(int.from_bytes(r[16:20], "big") >= 1 for r in records))
except TimeoutError:
    check("NetFlow comes", False, records)
check("its flows are kept elsewhere", lookup("G.Flows().Has('CaptureName', 'away').Count()") == 0)
rest.capture_delete(away.uuid)
mirror = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
mirror.settimeout(10)
away = rest.capture_create(f"G.V().Has('Name', 'veth2')", target_type="erspanv1",
                           bpf_filter="icmp", target="127.0.0.1:1")
until("it is active", lambda: lookup(f"G.V().Has('Captures.ID', '{away.uuid}').Count()") == 1)
inside(vm1, "ping", "-c", "1", "-q", "10.77.0.2", stdout=subprocess.DEVNULL)
try:
    packet = mirror.recv(2048)
    check("ERSPAN in GRE", packet[20:24] == b"\x10\x00\x88\xbe" and b"\x0a\x4d\x00\x01" in packet,
          packet)
except TimeoutError:
    check("ERSPAN comes", False)
rest.capture_delete(away.uuid)
refused("a target needs an address", lambda: rest.capture_create("G.V()", target_type="netflowv5"),
        "Target")

# A capture file.
pcap = os.path.join(folder, "import.pcap")
frame = bytes.fromhex("020000000002020000000001080045000020000100004011") + b"\0\0" + \
    bytes([192, 0, 2, 1, 192, 0, 2, 2]) + bytes.fromhex("15b30035000c0000") + b"abcd"
with open(pcap, "wb") as file:
    file.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    now = int(time.time())
    file.write(now.to_bytes(4, "little") + bytes(4) + len(frame).to_bytes(4, "little") * 2 + frame)
sent = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary",
                       f"@{pcap}", "-H", "Content-Type: application/vnd.tcpdump.pcap",
                       f"http://{ADDRESS}/api/pcap"], capture_output=True).stdout
check("a capture file is taken", sent == b"202", sent)
check("its packets are flows", lookup("G.Flows().Has('Network.A', '192.0.2.1').Values('Transport.A')")
      == [5555])
check("a port has the name that the user gave it",
      lookup("G.Flows().Has('Network.A', '192.0.2.1').Values('Application')") == ["PHONE"])
status, _, body = curl("-X", "POST", f"http://{ADDRESS}/api/pcap", "-H",
                       "Content-Type: application/octet-stream", data="no capture file")
check("what is none is refused", status in (400, 415), body)

# What goes by itself.
status, _, body = curl("-X", "POST", f"http://{ADDRESS}/api/capture", "-H", "X-Resource-TTL: 1s",
                       data='{"GremlinQuery": "G.V().Has(\'Name\', \'nowhere\')"}')
check("a resource with a time to live", status == 201, body)
until("goes when it is over", lambda: json.loads(body)["UUID"] not in
      json.loads(curl(f"http://{ADDRESS}/api/capture")[2]))
status, _, body = curl("-X", "POST", f"http://{ADDRESS}/api/capture", "-H", "X-Resource-TTL: soon",
                       data='{"GremlinQuery": "G.V()"}')
check("a time that is none", status == 400 and body.startswith("invalid ttl: "), body)

# --- The seed's subscriber to flows -------------------------------------------------------------
script = textwrap.dedent(open(os.path.join(here, "skydive", "seed_flows.py")).read())
script = script.replace("/tmp/flows", os.path.join(folder, "flows"))
subscriber = subprocess.Popen([sys.executable, "-u", "-c", script], stdout=subprocess.PIPE)
atexit.register(subscriber.kill)
until("it is connected", lambda: any(
    s["RemoteHost"] == "MyHost" or s.get("ServiceType") for s in
    json.loads(curl(f"http://{ADDRESS}/api/status")[2])["Subscribers"].values()))
inside(vm1, "ping", "-c", "1", "-q", "10.77.0.2", stdout=subprocess.DEVNULL)
line = subscriber.stdout.readline().decode()
check("the seed's script gets flows", re.fullmatch(r"wrote [1-9]\d* flows\n", line), line)
subscriber.terminate()

# --- The same over the other interfaces ---------------------------------------------------------
def ask(**request):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(os.path.join(folder, "sock"))
        link.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(link.makefile("rb").readline())


def udp(request):
    """Rows of an answer of the management port."""
    rows = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(5)
        link.connect(("127.0.0.1", 5644))
        link.send(request.encode())
        while True:
            row = json.loads(link.recv(2048))
            if row["_type"] in ("end", "error"):
                return rows
            if row["_type"] == "row":
                rows.append(row)


answer = ask(command="capture", action="start", dev="veth1", filter="icmp or arp")
row = answer["data"]["rows"][0]
check("a capture by the Unix socket", answer["code"] == 100 and row["filter"] == "icmp or arp", answer)
until("it is active", lambda: [r for r in ask(command="captures")["data"]["rows"]
                               if r["id"] == row["id"] and r["state"] == "active"])
answer = ask(command="capture", action="stop", id=row["id"])
check("and stopped", answer["data"]["rows"][0]["state"] == "stopped", answer)
check("a query by the Unix socket", ask(command="gremlin", data="G.V().Count()")["data"] > 5)
started = udp("w 1:1:n2n capture start veth1 tcp port 80 or tcp[13] = 2")
check("a capture by UDP", started and started[0]["filter"] == "tcp port 80 or tcp[13] = 2", started)
check("without the key none", udp("r 1 capture start veth1") == [])
until("it is active", lambda: [r for r in udp("r 1 captures n=50")
                               if r["id"] == started[0]["id"] and r["state"] == "active"])
check("and stopped", udp(f"w 1:1:n2n capture stop {started[0]['id']}")[0]["state"] == "stopped")
check("a query by UDP", udp("r 1 gremlin G.V().Count()")[0]["value"] > 5)
spaces = {row["name"] for row in udp("r 1 netns")}
check("namespaces by UDP", {vm1, vm2} <= spaces, spaces)
check("nodes by UDP", any(row["name"] == "br0" for row in udp("r 1 topology type=bridge")))

# --- Nodes, edges, rules ------------------------------------------------------------------------
one = rest.node_create(metadata={"Name": "one", "Type": "fabric", "a.b": 1})
two = rest.node_create(metadata={"Name": "two", "Type": "fabric"})
check("a dotted key makes a map", lookup("G.V().Has('a.b', 1).Values('Name')") == ["one"])
edge = rest.edge_create(one.id, two.id, metadata={"RelationType": "layer2"})
check("an edge links them", [n["ID"] for n in lookup(f"G.V('{one.id}').Out()")] == [two.id])
patched = rest.node_update(one.id, [{"op": "add", "path": "/Metadata/Room", "value": 7},
                                    {"op": "replace", "path": "/Metadata/Name", "value": "x"}])
check("a patch changes what may be changed", patched.metadata["Room"] == 7
      and patched.metadata["Name"] == "one", patched.metadata)
again = rest.node_update(one.id, [])
check("a patch of nothing changes nothing", again.revision == patched.revision)
refused("no type, no node", lambda: rest.node_create(metadata={"Name": "x"}), "Type")
refused("no end, no edge", lambda: rest.edge_create(one.id, "nobody",
                                                   metadata={"RelationType": "x"}), "Parent")
check("nodes are listed", one.id in {n.id for n in rest.node_list()})
check("edges are listed", edge.id in {e.id for e in rest.edge_list()})
rest.edge_delete(edge.id)
rest.node_delete(two.id)
check("deleted is deleted", lookup("G.V().Has('Name', 'two').Count()") == 0)

rule = rest.noderule_create("create", {"Name": "ruled", "Type": "fabric"})
until("a rule makes a node", lambda: lookup("G.V().Has('Name', 'ruled').Count()") == 1)
mark = rest.noderule_create("update", {"Mark": "m"}, "G.V().Has('Type', 'veth')")
until("a rule says more of nodes that match", lambda: lookup("G.V().Has('Mark', 'm').Count()") >= 4)
ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")
until("also of those that come later", lambda: lookup("G.V().Has('Mark', 'm', 'Name', 'late0').Count()") == 1)
link = rest.edgerule_create("G.V().Has('Name', 'ruled')", "G.V().Has('Name', 'one')",
                            {"RelationType": "layer2"})
until("a rule draws an edge", lambda: lookup("G.V().Has('Name', 'ruled').Out().Values('Name')") == ["one"])
check("rules are listed", [r.uuid for r in rest.edgerule_list()] == [link.uuid]
      and {r.uuid for r in rest.noderule_list()} == {rule.uuid, mark.uuid})
rest.edgerule_delete(link.uuid)
rest.noderule_delete(mark.uuid)
check("what a rule did is undone", lookup("G.V().Has('Mark', 'm').Count()") == 0
      and lookup("G.V().Has('Name', 'ruled').OutE().Count()") == 0)
refused("a rule cannot rename", lambda: rest.noderule_create("update", {"Name": "x"}, "G.V()"),
        "Name and Type fields can not be changed")

# --- Alerts and the graph over WebSocket --------------------------------------------------------
listener = Listener("listener", "/ws/subscriber", sync=True)
reply = until("a sync request is answered", lambda: listener.got(lambda m: m["Type"] == "SyncReply"))[0]
check("with the whole graph", {n["ID"] for n in reply["Obj"]["Nodes"]} >= {one.id, eth0.id}
      and reply["Namespace"] == "Graph" and reply["Status"] == 200)
watched = rest.capture_create(inside_vm1, name="watched", bpf_filter="udp port 9")
until("those who listen learn that a capture became active", lambda: listener.got(
    lambda m: m.get("Namespace") == "OnDemandCaptureNotification" and m["Type"] == "NodeUpdated"
    and m["Obj"]["UUID"] == watched.uuid and m["Obj"]["Count"] == 1))
rest.capture_delete(watched.uuid)
alert = rest.alert_create("", "G.V().Has('Name', 'alarm')")
check("alerts are listed", [a.uuid for a in rest.alert_list()] == [alert.uuid])
ip("link", "add", "alarm", "type", "veth", "peer", "name", "alarm1")
message = until("the alert fires", lambda: listener.got(lambda m: m.get("Namespace") == "Alert"))[0]
check("and says why", message["Obj"]["UUID"] == alert.uuid
      and message["Obj"]["ReasonData"][0]["Metadata"]["Name"] == "alarm", message)
until("changes of the graph are told", lambda: listener.got(
    lambda m: m["Type"] == "NodeAdded" and m["Obj"]["Metadata"].get("Name") == "alarm"))
ip("link", "del", "alarm")
until("and what goes", lambda: listener.got(
    lambda m: m["Type"] == "NodeDeleted" and m["Obj"]["Metadata"].get("Name") == "alarm"))
rest.alert_delete(alert.uuid)
narrow = Listener("narrow", "/ws/subscriber", sync=True, filter="G.V().Has('Type', 'netns').SubGraph()")
reply = until("a filtered sync", lambda: narrow.got(lambda m: m["Type"] == "SyncReply"))[0]
check("gives what matches", {n["Metadata"]["Type"] for n in reply["Obj"]["Nodes"] or []} == {"netns"})

# An alert that tells a server.
posted = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
alert = rest.alert_create(f"http://127.0.0.1:{server.server_address[1]}/hook",
                          "G.V().Has('Name', 'vb0').Values('Name')", "duration:1s")
time.sleep(0.1)
ip("link", "add", "vb0", "type", "veth", "peer", "name", "vb1")
message = until("an alert is posted", lambda: posted)
check("with its reason", message and message[0]["UUID"] == alert.uuid
      and message[0]["ReasonData"] == ["vb0"], message)
ip("link", "del", "vb0")
refused("no programs are run", lambda: rest.alert_create("file:///bin/true", "G.V()"), "Action")
rest.alert_delete(alert.uuid)

# --- Publishing ---------------------------------------------------------------------------------
published = os.path.join(folder, "publish.json")
node = {"ID": "pub-1", "Host": "elsewhere", "Metadata": {"Name": "pub", "Type": "host"}}
other = {"ID": "pub-2", "Host": "elsewhere", "Metadata": {"Name": "pub2", "Type": "host"}}
wire = {"ID": "pub-3", "Host": "elsewhere", "Parent": "pub-1", "Child": "pub-2",
        "Metadata": {"RelationType": "layer2"}}
json.dump({"Nodes": [node, other], "Edges": [wire]}, open(published, "w"))
shell = os.path.join(venv, "skydive-ws-client")


def publish(mode):
    command = [shell, "--analyzer", ADDRESS, "--host", f"publisher-{mode}", mode, published]
    subprocess.run(command, timeout=20, capture_output=True)


publish("add")
until("published nodes are there", lambda: lookup("G.V('pub-1').Out().Values('Name')") == ["pub2"])
node["Metadata"]["Rack"] = 4
json.dump({"Nodes": [node]}, open(published, "w"))
publish("update")
until("and are updated", lambda: lookup("G.V('pub-1').Values('Rack')") == [4])
json.dump({"Edges": [wire], "Nodes": [node, other]}, open(published, "w"))
publish("delete")
until("and deleted", lambda: lookup("G.V().Has('@Host', 'elsewhere').Count()") == 0)
listener.stop()
narrow.stop()

# --- Injection ----------------------------------------------------------------------------------
target = f"G.V().Has('Name', '{vm2}').Out('Name', 'eth0')"
injection = rest.injection_create(src_query=inside_vm1, dst_query=target, type="icmp4", count=3,
                                  interval=10, icmp_id=4242)
until("injected packets make a flow", lambda: lookup(
    "G.Flows().Has('ICMP.ID', 4242).Values('Metric.ABPackets')") == [3])
tcp = rest.injection_create(src_query=inside_vm1, dst_query=target, type="tcp4", dst_port=4321,
                            payload="hello")
until("TCP too", lambda: lookup("G.Flows().Has('Transport.B', 4321).Count()") == 1)
check("injections are listed", {i.uuid for i in rest.injection_list()} == {injection.uuid, tcp.uuid})
refused("no source, no injection", lambda: rest.injection_create(src_query="G.V('x')"),
        "Not able to find a source node for")
refused("a type that is none", lambda: rest.injection_create(src_query=inside_vm1, type="x"),
        "given type is not supported")
rest.injection_delete(injection.uuid)

# --- History ------------------------------------------------------------------------------------
before = int(time.time() * 1000)
time.sleep(0.01)
ip("link", "del", "late0")
until("late0 is gone", lambda: lookup("G.V().Has('Name', 'late0').Count()") == 0)
check("the past is as it was", lookup(f"G.At({before}).V().Has('Name', 'late0').Count()") == 1)
check("and so is a stretch of it",
      lookup("G.Context(NOW, 60).V().Has('Name', 'late0').Count()") == 1)

# --- A restart ----------------------------------------------------------------------------------
agent.stop()
startup = "G.V().Has('Name', 'veth2')"
with open(config, "a") as file:
    file.write(f"[startup]\ncapture_gremlin = {startup}\ncapture_bpf = udp\n")
agent = Agent("-c", config)
captures = {c.uuid: c for c in until("captures are back", rest.capture_list)}
check("with their ids and names", captures.pop(capture.uuid).name == "one", captures)
check("beside the one to start with", [(c.query, c.bpf_filter) for c in captures.values()] ==
      [(startup, "udp")], captures)
until("and active", lambda: lookup(f"G.V().Has('Captures.ID', '{capture.uuid}').Count()") == 1)
check("rules are back", [r.uuid for r in rest.noderule_list()] == [rule.uuid])
until("nodes of clients are back", lambda: lookup("G.V().Has('Room', 7).Values('Name')") == ["one"])
tids = lookup(inside_vm1 + ".Values('TID')")
check("TIDs are the same after a restart", tids == [tid], tids)
agent.stop()

# --- With a password ----------------------------------------------------------------------------
hashed = subprocess.run([portolan, "--hash-password"], input=b"pass:w\n", capture_output=True)
line = hashed.stdout.decode().strip()
config = os.path.join(folder, "portolan.conf")
with open(config, "w") as file:
    file.write(f"[http]\nuser = admin:admin:{line}\nuser = guest:read:{line}\n")
os.chmod(config, 0o600)
agent = Agent("-c", config)
refused("without a password nothing", lambda: RESTClient(ADDRESS).lookup("G.V()"), "Wrong credentials")
known = RESTClient(ADDRESS, username="admin", password="pass:w")
check("with it everything", known.lookup("G.V().Count()") > 0)
check("also captures", known.capture_create("G.V().Has('Name', 'nothing')").uuid)
try:
    RESTClient(ADDRESS, username="admin", password="wrong").lookup("G.V()")
    check("a wrong password is none", False)
except Exception as error:
    check("a wrong password is none", "401" in str(error) or "Wrong" in str(error), error)
reader = RESTClient(ADDRESS, username="guest", password="pass:w")
check("who may read reads", reader.lookup("G.V().Count()") > 0)
refused("and no more", lambda: reader.capture_create("G.V()"), "permission")
secret = Listener("secret", "/ws/subscriber", username="admin", password="pass:w")
secret.stop()
agent.stop()

print(f"skydive_client.py: {passed} checks passed, {failed} failed")
sys.exit(1 if failed else 0)
