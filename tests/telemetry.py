#!/usr/bin/env python3
"""Telemetry as its consumers take it: telemetry.py PORTOLAN

  files     `read --telemetry` of a capture made here, and of those beside the tree: each line valid,
            digests as they are specified, and no byte of a flow told twice or not at all
  live      an agent in a namespace of its own with every kind of consumer at once: sockets of both
            framings, an HTTP server that fails and redirects, datagrams, files that rotate, a
            reader that reads nothing, one that comes back

Lines are held against required members written down here, and against Netify's own schemas by
the package jsonschema where both are there. The live part needs root; without it it says so.
"""
import atexit
import collections
import glob
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
venv = f"{here}/../target/venv/bin/python3"
try:
    import jsonschema
except ImportError:
    jsonschema = None
    if os.path.exists(venv) and "--again" not in sys.argv:
        os.execv(venv, [venv, *sys.argv, "--again"])

portolan = os.path.abspath(sys.argv[1])
schemas = f"{here}/../../shared/spec/schemas/netify"
captures = f"{here}/../../shared/pcaps/ndpi"
folder = tempfile.mkdtemp(prefix="portolan-telemetry-")
atexit.register(shutil.rmtree, folder, True)
passed, failed = 0, 0


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {str(detail)[:1500]}", flush=True)
    return bool(holds)


# ---- records -----------------------------------------------------------------------------------

COUNTED = """detection_packets digest digest_prev last_seen_at local_bytes local_packets local_rate
    other_bytes other_packets other_rate total_bytes total_packets""".split()
DESCRIBED = COUNTED + """app_ip_override app_proto_twins category detected_application
    detected_application_name detected_protocol detected_protocol_name detection_guessed
    detection_updated dhc_hit dns_host_name fhc_hit first_seen_at host_server_name ip_dscp ip_nat
    ip_protocol ip_version local_ip local_mac local_origin local_port other_ip other_mac other_port
    other_type soft_dissector vlan_id""".split()
FIGURES = """capture_dropped capture_filtered discarded discarded_bytes ethernet flow_dropped
    fragmented icmp igmp ip ip_bytes largest_bytes mpls pppoe queue_dropped raw tcp tcp_resets
    tcp_seq_errors udp vlan wire_bytes""".split()
STATUS = """agent_version build_version cpu_cores cpu_system cpu_system_prev cpu_user cpu_user_prev
    dhc_status fhc_status flow_count flow_count_prev flows_active flows_expired flows_expiring
    flows_in_use flows_purged maxrss_kb maxrss_kb_prev memrss_kb memrss_kb_prev tcm_kb tcm_kb_prev
    timestamp type update_imf update_interval uptime""".split()
FLOWS = {"flow": DESCRIBED, "flow_dpi_update": DESCRIBED, "flow_dpi_complete": DESCRIBED,
         "flow_stats": COUNTED, "flow_purge": COUNTED}
FILES = {"flow": "flow", "flow_dpi_update": "flow", "flow_dpi_complete": "flow",
         "flow_stats": "flow-stats", "flow_purge": "flow-purge", "endpoints": "endpoints",
         "interfaces": "interfaces", "interface_stats": "interface-stats",
         "global_stats": "interface-stats", "agent_status": "agent-status"}
# Ours, of which the schemas say nothing.
OTHERS = {"definitions", "x_dropped", "snapshot", "protocols", "agent_hello"}


def validators():
    if jsonschema is None or not os.path.isdir(schemas):
        why = "no jsonschema" if jsonschema is None else f"no {schemas}"
        print(f"telemetry.py: SKIPPED Netify's schemas: {why}; the members are checked all the same")
        return {}
    known = {}
    for kind, name in FILES.items():
        with open(f"{schemas}/netify-telemetry-{name}.json") as file:
            known[kind] = jsonschema.Draft202012Validator(json.load(file))
    return known


VALIDATORS = validators()


def flaw(record, full=True):
    """What is wrong with a record; nothing if it is right."""
    kind = record.get("type")
    if kind in OTHERS:
        return None
    if kind not in FILES:
        return f"unknown type {kind}"
    if kind in FLOWS:
        missing = [name for name in FLOWS[kind] if name not in record["flow"]]
        missing += [name for name in ("interface", "internal") if name not in record]
        if "tcp" not in record["flow"] and record["flow"].get("ip_protocol") == 6:
            missing.append("tcp")
        if kind == "flow_purge" and record.get("reason") not in ("closed", "expired"):
            missing.append("reason")
    elif kind == "agent_status":
        missing = [name for name in STATUS if name not in record]
    elif kind in ("interface_stats", "global_stats"):
        each = [record] if kind == "global_stats" else \
            [value for name, value in record.items() if name != "type"]
        missing = [name for one in each for name in FIGURES if not isinstance(one.get(name), int)]
    elif kind == "endpoints":
        missing = [name for name, value in record.items() if name != "type" and not (
            isinstance(value, list) and all(isinstance(one, str) for one in value))]
    else:
        missing = [name for name, value in record.items() if name != "type" and not (
            {"capture_type", "mac", "role"} <= set(value) and value["role"] in ("lan", "wan"))]
    if missing:
        return f"{kind}: {missing}"
    if full and kind in VALIDATORS:
        for error in VALIDATORS[kind].iter_errors(record):
            return f"{kind}: {error.json_path}: {error.message[:200]}"
    return None


def story(what, records):
    """Each flow is told before its figures, under digests that link, to the last byte."""
    sums, known, ended, order = collections.Counter(), {}, {}, []
    for record in records:
        if record["type"] not in FLOWS:
            continue
        flow, kind = record["flow"], record["type"]
        who = flow["x_flow_id"]
        digests = [*flow["digest_prev"], flow["digest"]]
        if kind in ("flow", "flow_dpi_update", "flow_dpi_complete"):
            if kind != "flow" and who not in known:
                order.append((who, kind))
            if who in known and known[who][0] != digests[0]:
                order.append((who, "another first digest"))
            known[who] = digests
        else:
            if who not in known or flow["digest"] != known[who][-1]:
                order.append((who, kind, flow["digest"]))
            sums[who] += flow["local_bytes"] + flow["other_bytes"]
            if kind == "flow_purge":
                ended[who] = flow["total_bytes"]
    wrong = {who: (sums[who], total) for who, total in ended.items() if sums[who] != total}
    check(f"{what}: sums of figures", ended and not wrong, list(wrong.items())[:5])
    check(f"{what}: told before, under one digest", not order, order[:5])
    return ended


# ---- files -------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


MACS = {"192.168.7.2": b"\x02\0\0\0\0\x02"}


def frame(source, target, protocol, payload):
    a, b = socket.inet_aton(source), socket.inet_aton(target)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + a + b
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    far = b"\x02\0\0\0\0\x01"
    return MACS.get(target, far) + MACS.get(source, far) + b"\x08\0" + head + payload


def udp(source, sport, target, dport, payload):
    return frame(source, target, 17,
                 struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload)


def tcp(source, sport, target, dport, seq, ack, flags, payload=b""):
    return frame(source, target, 6, struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags,
                                                8192, 0, 0) + payload)


def pcap(path, packets):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for when, data in packets:
            file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(data), len(data)))
            file.write(data)


def made():
    """DNS, HTTP with an end, and a minute of something that nobody knows."""
    host, server, t = "192.168.7.2", "198.51.100.9", 1_700_000_000
    name = b"\x03www\x07example\x03com\0\0\x01\0\x01"
    query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + name
    answer = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0" + name + b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" \
        + socket.inet_aton(server)
    get = b"GET /a?b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: t\"\x1b[2J\r\n\r\n"
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port = 40001
    packets = [
        (t, udp(host, 40000, "192.168.7.1", 53, query)),
        (t + .01, udp("192.168.7.1", 53, host, 40000, answer)),
        (t + 1, tcp(host, port, server, 80, 1, 0, 2)),
        (t + 1.01, tcp(server, 80, host, port, 9, 2, 0x12)),
        (t + 1.02, tcp(host, port, server, 80, 2, 10, 0x10)),
        (t + 1.03, tcp(host, port, server, 80, 2, 10, 0x18, get)),
        (t + 1.04, tcp(server, 80, host, port, 10, 2 + len(get), 0x18, said)),
        (t + 1.05, tcp(host, port, server, 80, 2 + len(get), 10 + len(said), 0x11)),
        (t + 1.06, tcp(server, 80, host, port, 10 + len(said), 3 + len(get), 0x11)),
        (t + 1.07, tcp(host, port, server, 80, 3 + len(get), 11 + len(said), 0x10)),
    ]
    for second in range(2, 62):
        packets.append((t + second, udp(host, 50000, server, 50001, b"\x7f\x01" + os.urandom(40))))
    return sorted(packets, key=lambda packet: packet[0])


def of_file(*paths):
    done = subprocess.run([portolan, "read", "--telemetry", *paths], capture_output=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def files():
    path = f"{folder}/made.pcap"
    packets = made()
    pcap(path, packets)
    records, done = of_file(path)
    check("a file is told", done.returncode == 0 and records, done.stderr)
    flaws = [found for found in map(flaw, records) if found]
    check("each line of a file is valid", not flaws, flaws[:5])
    ended = story("a file", records)
    check("all bytes of a file", sum(ended.values()) == sum(len(data) for _, data in packets),
          sum(ended.values()))
    kinds = collections.Counter(record["type"] for record in records)
    check("every kind is told", set(kinds) == set(FILES) - {"flow_dpi_update"}
          or set(kinds) == set(FILES), kinds)
    check("figures of each interval", kinds["flow_stats"] >= 3 and kinds["agent_status"] >= 4, kinds)
    told = {record["flow"][end]: record for record in records if record["type"] == "flow"
            for end in ("local_port", "other_port")}
    names = {port: record["flow"]["detected_protocol_name"] for port, record in told.items()}
    check("protocols", names.get(53) == "DNS" and names.get(80) == "HTTP", names)
    web = told[80]["flow"]
    check("names", web["host_server_name"] == "www.example.com"
          and web["dns_host_name"] == "www.example.com" and web["http"]["url"] == "/a?b", web)
    check("the local end", web["local_ip"] == "192.168.7.2" and web["local_origin"]
          and web["local_mac"] == "02:00:00:00:00:02" and web["other_type"] == "remote", web)
    reasons = {record["flow"]["x_flow_id"]: record["reason"] for record in records
               if record["type"] == "flow_purge"}
    check("a closed flow is closed", reasons[web["x_flow_id"]] == "closed", reasons)
    lower, upper = socket.inet_aton("192.168.7.2"), socket.inet_aton("198.51.100.9")
    text = b"made.pcap" + bytes([4, 6, 0, 0]) + lower + upper + struct.pack(">HH", 40001, 80)
    check("the first digest", web["digest_prev"][:1] == [hashlib.sha1(text).hexdigest()], web)
    total = [record for record in records if record["type"] == "global_stats"]
    check("figures of all intervals", sum(one["raw"] for one in total) == len(packets)
          and total[-1]["x_total_raw"] == len(packets), total)
    states = [record for record in records if record["type"] == "agent_status"]
    check("of a cache that is off there is no size", all(
        one["dhc_status"] is True and one["dhc_size"] >= 0 and one["fhc_status"] is False
        and "fhc_size" not in one for one in states) and states[-1]["dhc_size"] == 1, states[-1:])
    raw = subprocess.run([portolan, "read", "--telemetry", path], capture_output=True).stdout
    check("hostile text is escaped", b"\x1b" not in raw and b"\\u001b[2J" in raw)


def others():
    """Captures of others: every line has what it must have, and a good part is held to schemas."""
    paths = sorted(glob.glob(f"{captures}/**/*.pcap*", recursive=True))
    if not paths:
        print(f"telemetry.py: SKIPPED captures of others: no {captures}")
        return
    lines, flaws, broken, checked = 0, [], [], 0
    until = time.monotonic() + 120
    for path in paths:
        records, done = of_file(path)
        if done.returncode not in (0, 1):
            broken.append((path, done.stderr))
        known = collections.Counter()
        for record in records:
            lines += 1
            # Of each kind in each file some are held to the schemas, all have their members.
            known[record["type"]] += 1
            full = known[record["type"]] <= 12 and time.monotonic() < until
            checked += full
            found = flaw(record, full)
            if found:
                flaws.append((os.path.basename(path), found))
        sums, totals = collections.Counter(), {}
        for record in records:
            if record["type"] in ("flow_stats", "flow_purge"):
                one = record["flow"]
                sums[one["x_flow_id"]] += one["local_bytes"] + one["other_bytes"]
                if record["type"] == "flow_purge":
                    totals[one["x_flow_id"]] = one["total_bytes"]
        if any(sums[who] != total for who, total in totals.items()):
            broken.append((path, "sums"))
    check(f"{lines} lines of {len(paths)} captures are valid", not flaws, flaws[:8])
    check("captures of others", not broken, broken[:5])
    print(f"telemetry.py: {lines} lines of {len(paths)} captures, {checked} held to the schemas")


# ---- live --------------------------------------------------------------------------------------

def wait(condition, seconds=15.0):
    """What the condition gives once it is true, or what it gave last."""
    end = time.monotonic() + seconds
    while True:
        last = condition()
        if last or time.monotonic() > end:
            return last
        time.sleep(0.02)


class Reader(threading.Thread):
    """Takes what comes over a stream, until it ends."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.data = stream, bytearray()
        self.start()

    def run(self):
        try:
            while piece := self.stream.recv(65536):
                self.data += piece
        except OSError:
            pass

    def records(self):
        lines = bytes(self.data).split(b"\n")[:-1]
        records = [json.loads(line) for line in lines]
        return [record for record in records if set(record) != {"length"} and "type" in record]

    def framed(self):
        """By length alone, as exact readers do."""
        data, records = bytes(self.data), []
        while b"\n" in data:
            head, _, rest = data.partition(b"\n")
            length = json.loads(head)["length"]
            if len(rest) < length:
                break
            body, data = rest[:length], rest[length:]
            assert body.endswith(b"\n") and body.count(b"\n") == 1, body[-40:]
            records.append(json.loads(body))
        return records


class Server(http.server.BaseHTTPRequestHandler):
    """Fails first, redirects, and then takes what comes."""
    statuses = [503, 302]
    bodies, refused = [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.statuses.pop(0) if self.statuses else 204
        (self.bodies if status == 204 else self.refused).append((status, body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.refused.append(("GET", b""))

    def log_message(self, *_):
        pass


def ask(path, **request):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(path)
        one.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(one.makefile("rb").readline())


def connected(kind, address):
    one = socket.socket(kind)
    one.settimeout(30)
    one.connect(address)
    return one


def live():
    # The whole test moves into a namespace: nothing of it is seen outside.
    if os.geteuid() != 0:
        print("telemetry.py: SKIPPED the live part: it takes root")
        return
    try:
        os.unshare(os.CLONE_NEWNET)
    except (AttributeError, OSError):
        import ctypes
        if ctypes.CDLL(None).unshare(0x40000000) != 0:
            print("telemetry.py: SKIPPED the live part: no namespaces here")
            return
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    datagrams.settimeout(15)
    api, legacy, sink = f"{folder}/api.sock", f"{folder}/legacy.sock", f"{folder}/sink.sock"
    log = f"{folder}/log/telemetry.json"
    os.mkdir(f"{folder}/log")
    config = f"{folder}/portolan.conf"
    with open(config, "w") as file:
        file.write(f"""
state_dir = {folder}/state
api_socket = {api}
http = off
management_port = 0
netns_discovery = no
update_interval = 1
flows_idle = 3
capture_interfaces = lo
telemetry_listen = tcp://127.0.0.1:7151
telemetry_legacy = tcp://127.0.0.1 unix://{legacy}
telemetry_send = http://127.0.0.1:{web.server_port}/in?a=b udp://127.0.0.1:{datagrams.getsockname()[1]} unix://{sink}
telemetry_log = {log}
telemetry_log_kib = 64
telemetry_log_files = 3
telemetry_filter = ip_protocol == 17 && (port == 5353 || port == 9999 || port > 20000)
[privacy-filter]
host[0] = 127.0.0.77
regex_search[0] = secret-[a-z]+
regex_replace[0] = hidden
""")
    agent = subprocess.Popen([portolan, "-c", config], stderr=open(f"{folder}/stderr", "wb"))
    atexit.register(agent.kill)
    if not check("the agent starts", wait(lambda: os.path.exists(legacy)),
                 open(f"{folder}/stderr").read()):
        return
    ask(api, command="add-group-address", group="peers", data=["127.0.0.9"])

    lines = Reader(connected(socket.AF_INET, ("127.0.0.1", 7151)))
    old = Reader(connected(socket.AF_INET, ("127.0.0.1", 7150)))
    topic = connected(socket.AF_UNIX, api)
    topic.sendall(b'{"command":"subscribe","data":["telemetry"],"where":"port == 9999"}\n')
    topic = Reader(topic)
    slow = socket.socket(socket.AF_UNIX)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(legacy)
    wait(lambda: topic.data)

    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.5", 0))
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind(("127.0.0.9", 9999))
    mask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mask.bind(("127.0.0.77", 0))
    query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + b"\x0bsecret-nas\0"[:0] + \
        b"\x0asecret-nas\x05local\0\0\x01\0\x01"
    sent = 0
    # Longer than an interval, so that there are figures in between.
    for _ in range(30):
        sender.sendto(b"\xfe" * 100, ("127.0.0.9", 9999))
        mask.sendto(query, ("127.0.0.9", 5353))
        sent += 1
        time.sleep(0.1)

    def of_port(records, port, kinds=FLOWS):
        return [record for record in records if record["type"] in kinds and port in (
            record["flow"].get("other_port"), record["flow"].get("local_port"))]

    def purged(reader):
        told = of_port(reader.records(), 9999, ("flow",))
        if not told:
            return False
        who = told[0]["flow"]["x_flow_id"]
        return any(r["type"] == "flow_purge" and r["flow"]["x_flow_id"] == who
                   for r in reader.records())

    for name, reader in (("lines", lines), ("legacy", old), ("topic", topic)):
        check(f"{name}: a flow is told to its end", wait(lambda: purged(reader), 20),
              bytes(reader.data)[-600:])
    told = lines.records()
    flaws = [found for found in map(flaw, told) if found]
    check("each line live is valid", not flaws, flaws[:5])
    kinds = collections.Counter(record["type"] for record in told)
    check("every kind is told live", {"agent_status", "definitions", "endpoints", "interfaces",
                                      "interface_stats", "global_stats", "flow", "flow_dpi_complete",
                                      "flow_stats", "flow_purge"} <= set(kinds), kinds)
    story("live", [r for r in told if r.get("established") is not True])
    marked = of_port(told, 9999, ("flow",))[0]["flow"]
    end = {r["flow"]["x_flow_id"]: r["flow"] for r in told if r["type"] == "flow_purge"}
    whole = end[marked["x_flow_id"]]
    # Loopback shows each datagram once, with 14 + 20 + 8 octets before it.
    check("bytes and packets live", (whole["total_packets"], whole["total_bytes"]) ==
          (sent, sent * 142), whole)
    check("groups are tags", any(tag.endswith(":peers") for tag in marked["tags"]), marked["tags"])
    others = {flow["flow"]["ip_protocol"] for flow in told if flow["type"] == "flow"}
    check("a filter holds back other flows", others == {17}, others)
    masked = of_port(told, 5353, ("flow", "flow_dpi_complete"))
    everything = bytes(lines.data) + bytes(old.data)
    check("hosts and texts are masked", masked and b"127.0.0.77" not in everything
          and b"127.255.0.25" in everything and b"secret-nas" not in everything
          and b"hidden.local" in everything, masked[:1])
    only = [r for r in topic.records() if r.get("type") in FLOWS]
    ids = {r["flow"]["x_flow_id"] for r in only}
    check("a subscription has its own filter", ids == {marked["x_flow_id"]}, ids)
    check("a subscription is valid", not [f for f in map(flaw, topic.records()) if f])

    framed = old.framed()
    check("exact readers and line readers see the same", framed == old.records()[:len(framed)]
          and framed)
    first = [record["type"] for record in framed[:3]]
    check("the old stream's greeting", first == ["agent_hello", "agent_status", "protocols"], first)
    table = framed[2]["protocols"]
    check("protocols by place", table[5]["tag"] == "DNS" and all(
        one["id"] == at for at, one in enumerate(table[:200])), table[:3])
    check("the old status", {"interfaces", "devices", "stats"} <= set(framed[1])
          and "lo" in framed[1]["interfaces"], list(framed[1]))
    digests = [r["flow"]["digest"] for r in framed if r["type"] in FLOWS
               and r["flow"]["x_flow_id"] == marked["x_flow_id"]]
    check("old consumers see one digest", len(set(digests)) == 1 and len(digests) >= 3, digests)
    check("the old stream marks what was there", all(
        "established" in r for r in framed if r["type"] == "flow"))

    # A flow that goes on is there for whoever comes later.
    stop = threading.Event()

    def goes_on():
        while not stop.wait(0.05):
            sender.sendto(b"\xfe" * 100, ("127.0.0.9", 9999))
    threading.Thread(target=goes_on, daemon=True).start()
    wait(lambda: len(of_port(lines.records(), 9999, ("flow",))) > 1)
    late = Reader(connected(socket.AF_UNIX, legacy))
    check("who comes later is told what is there", wait(lambda: [
        r for r in late.records() if r["type"] == "flow" and r["established"]]), late.data[:200])

    # Datagrams.
    one = json.loads(datagrams.recv(70000))
    check("a datagram is a record", "type" in one and not flaw(one), one)

    # HTTP: 503 is tried again, 302 is lost, the rest arrives.
    check("posts arrive", wait(lambda: len(Server.bodies) >= 2, 30), Server.refused[:1])
    posted = [json.loads(line) for _, body in Server.bodies for line in body.splitlines()]
    check("posts are valid", posted and not [f for f in map(flaw, posted) if f])
    statuses = [status for status, _ in Server.refused]
    check("a redirect is not followed", statuses == [503, 302], statuses)
    check("a batch is tried again", Server.refused[0][1] == Server.refused[1][1])
    check("what is lost is said", any(r["type"] == "x_dropped" for r in posted), len(posted))

    # A consumer that was not there, comes, goes and comes back.
    def accept():
        if os.path.exists(sink):
            os.unlink(sink)
        door = socket.socket(socket.AF_UNIX)
        door.bind(sink)
        door.listen(1)
        door.settimeout(40)
        guest, _ = door.accept()
        door.close()
        return guest
    guest = accept()
    reader = Reader(guest)
    check("a consumer is called", wait(lambda: any(
        r["type"] == "flow_stats" for r in reader.records()), 20), reader.data[:100])
    guest.shutdown(socket.SHUT_RDWR)
    again = Reader(accept())
    check("and called again", wait(lambda: any(
        r["type"] == "flow_stats" for r in again.records()), 20), again.data[:100])
    check("with nothing cut", not [f for f in map(flaw, again.records()) if f])

    # Very many flows, for the reader that reads nothing, and for the files.
    crowd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(20001, 24001):
        crowd.sendto(b"x" * 20, ("127.0.0.9", port))
        if port % 50 == 0:
            time.sleep(0.005)

    def sinks():
        return ask(api, command="sinks")["data"]

    rows = wait(lambda: any(row["dropped"] for row in sinks()["rows"]
                            if row["target"].startswith("from unix")) and sinks()["rows"], 30)
    check("a slow reader loses, and it is counted", rows, sinks())
    counters = ask(api, command="status")["data"]["counters"]
    check("the agent counts it", counters["telemetry_dropped"] > 0, counters)
    check("what waits is bounded", all(row["waiting"] <= 300 * 1024 for row in rows or []), rows)
    slow = Reader(slow)
    check("a slow reader is told what it lost", wait(lambda: any(
        r["type"] == "x_dropped" and r["count"] > 0 for r in slow.framed()), 20), slow.data[:100])
    logged = [path for path in (log, f"{log}.1", f"{log}.2", f"{log}.3") if os.path.exists(path)]
    check("files rotate", wait(lambda: os.path.exists(f"{log}.2"), 10) and not
          os.path.exists(f"{log}.3"), logged)
    stop.set()
    agent.send_signal(signal.SIGTERM)
    check("the agent leaves", agent.wait(20) == 0, agent.returncode)
    check("files are bounded", all(os.path.getsize(path) <= 66 * 1024 for path in logged),
          [os.path.getsize(path) for path in logged])
    with open(log) as file:
        written = [json.loads(line) for line in file]
    check("files are valid to the end", written and not [f for f in map(flaw, written) if f])
    check("the end of flows is told", any(r.get("x_end") == "shutdown" for r in written) or any(
        r.get("x_end") == "shutdown" for r in lines.records()), written[-1:])
    check("sockets are removed", not os.path.exists(legacy))


files()
others()
live()
print(f"telemetry.py: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
