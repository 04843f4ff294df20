#!/usr/bin/env python3
"""Devices and names, as an outsider sees them: devices.py PORTOLAN [--only NAME,...]

Two hosts on a bridge speak DHCP, multicast DNS, SSDP, DNS and TLS; what the agent then says of them
is held against what they sent, over every interface. Names of attackers must come out escaped
wherever they come out. Needs root and ip; without them it says so and passes.
"""
import atexit
import contextlib
import csv
import http.client
import http.server
import io
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
import traceback

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "support"))
prefix = f"pd{os.getpid() % 100000}"
passed, failed, current = 0, 0, ""


def skip(why):
    print(f"SKIPPED devices.py: {why}")
    sys.exit(0)


if os.geteuid() != 0:
    skip("needs root for its network namespaces")
if shutil.which("ip") is None:
    skip("ip is not installed")
if "INSIDE" not in os.environ:
    home = f"{prefix}-home"
    if subprocess.run(["ip", "netns", "add", home]).returncode != 0:
        skip("network namespaces cannot be made here")
    try:
        subprocess.run(["ip", "-n", home, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", home, sys.executable, *sys.argv]
        child = subprocess.Popen(inside, env={**os.environ, "INSIDE": home})
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        code = child.wait()
    finally:
        subprocess.run(["ip", "netns", "del", home])
    sys.exit(code)

from lab import Agent, Bare, Space, fetch, ip, wait  # noqa: E402

if len(sys.argv) < 2:
    sys.exit("devices.py: which program? devices.py target/release/portolan")
portolan = os.path.abspath(sys.argv[1])
sections = {}


def section(function):
    sections[function.__name__] = function
    return function


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {current}: {what}: {str(detail)[:900]}", flush=True)
    return holds


def same(what, found, expected):
    return check(what, found == expected, f"{found!r} instead of {expected!r}")


# ---- what hosts send -----------------------------------------------------------------------------

LAPTOP, PRINTER = bytes.fromhex("b827eb000001"), bytes.fromhex("020000000002")
ALL = b"\xff" * 6


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(proto, source, target, body):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, proto, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def udp(mac, source, target, sport, dport, payload, to=ALL):
    body = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    return to + mac + b"\x08\0" + ipv4(17, source, target, body)


def tcp(mac, source, target, sport, dport, flags, seq, ack, payload=b"", to=ALL):
    body = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64000, 0, 0) + payload
    return to + mac + b"\x08\0" + ipv4(6, source, target, body)


def dhcp(mac, name, options=b"\1\3\6\x0f\x1f\x21\x2b\x2c\x2e\x2f\x77\x79\xf9\xfc", kind=b"MSFT 5.0"):
    head = struct.pack(">BBBBIHH16x6s10x64x128xI", 1, 1, 6, 0, 7, 0, 0, mac, 0x63825363)
    asked = b"\x35\1\3\x0c" + bytes([len(name)]) + name + b"\x3c" + bytes([len(kind)]) + kind
    asked += b"\x37" + bytes([len(options)]) + options + b"\xff"
    return udp(mac, "0.0.0.0", "255.255.255.255", 68, 67, head + asked)


def labels(*names):
    return b"".join(bytes([len(name)]) + name for name in names) + b"\0"


def record(owner, kind, data, ttl=120):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def mdns(mac, source, instance, host, address):
    service = labels(b"_ipp", b"_tcp", b"local")
    full = bytes([len(instance)]) + instance + service
    records = [record(service, 12, full), record(full, 16, b"\x07ty=HP 1"),
               record(labels(host, b"local"), 1, socket.inet_aton(address))]
    message = struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)
    return udp(mac, source, "224.0.0.251", 5353, 5353, message)


def ssdp(mac, source, server):
    text = (b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n"
            b"NT: urn:schemas-upnp-org:device:Printer:1\r\nSERVER: " + server + b"\r\n\r\n")
    return udp(mac, source, "239.255.255.250", 40000, 1900, text)


def answer(mac, source, target, name, address, aliases=(), kind=1):
    asked = labels(*name.split(b"."))
    records, owner = [], asked
    for alias in aliases:
        records.append(record(owner, 5, labels(*alias.split(b"."))))
        owner = labels(*alias.split(b"."))
    if kind == 65:
        hint = struct.pack(">H", 1) + b"\0" + struct.pack(">HH", 4, 4) + socket.inet_aton(address)
        records.append(record(owner, 65, hint))
    else:
        records.append(record(owner, 1, socket.inet_aton(address)))
    message = struct.pack(">HHHHHH", 7, 0x8180, 1, len(records), 0, 0)
    message += asked + struct.pack(">HH", kind, 1) + b"".join(records)
    return udp(mac, source, target, 53, 40001, message)


def hello(name):
    sni = struct.pack(">HHBH", len(name) + 5, len(name) + 3, 0, len(name)) + name
    extensions = struct.pack(">H", 0) + sni
    extensions += struct.pack(">HHH", 10, 4, 2) + b"\0\x1d" + struct.pack(">HHB", 43, 3, 2) + b"\3\4"
    body = b"\3\3" + b"r" * 32 + b"\0" + b"\0\4\x13\1\x13\2" + b"\1\0"
    body += struct.pack(">H", len(extensions)) + extensions
    shake = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(shake)) + shake


def tls(mac, source, target, port, name):
    """The beginning of a connection, with the answer of nobody."""
    return [tcp(mac, source, target, port, 443, 2, 100, 0),
            tcp(mac, source, target, port, 443, 0x18, 101, 1, hello(name))]


# ---- the lab -------------------------------------------------------------------------------------

class Lab:
    """A bridge with two hosts, the agent at the bridge."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="portolan-devices-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.hosts = []
        ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        ip("link", "set", "br0", "addrgenmode", "none")
        ip("addr", "add", "10.88.0.1/24", "dev", "br0")
        ip("link", "set", "br0", "up")
        for at in range(2):
            space = Space(f"{prefix}-{at}")
            ip("link", "add", f"p{at}", "type", "veth", "peer", "name", "eth0", "netns", space.name)
            ip("link", "set", f"p{at}", "addrgenmode", "none", "master", "br0", "up")
            space.ip("link", "set", "eth0", "addrgenmode", "none", "up")
            self.hosts.append(space.raw("eth0"))
        wait(lambda: all("forwarding" in self.state(f"p{at}") for at in range(2)), 20)

    @staticmethod
    def state(name):
        out = subprocess.run(["ip", "-d", "link", "show", name], capture_output=True, text=True)
        return out.stdout

    def start(self, *options):
        self.run = tempfile.mkdtemp(dir=self.folder)
        for name in ("leases", "hosts"):
            with open(self.file(name), "w", encoding="utf-8"):
                pass
        settings = {"volatile_dir": self.file("volatile"), "update_interval": 1,
                    "names_lease_files": self.file("leases"), "names_hosts_files": self.file("hosts")}
        words = [word for key, value in settings.items() for word in ("-s", f"{key}={value}")]
        self.agent = Agent(portolan, self.run, "-i", "br0", *words, *options)
        wait(lambda: any(one.get("capturing") for one in self.data("interfaces")["interfaces"]))
        return self.agent

    def file(self, name):
        return os.path.join(self.run, name)

    def send(self, at, *frames):
        for frame in frames:
            self.hosts[at].send(frame)

    def data(self, command, **members):
        answer = self.agent.ask(command=command, **members)
        if answer["code"] != 100:
            return answer
        return answer.get("data", {})

    def device(self, mac, condition=lambda row: True):
        def found():
            rows = self.data("devices", which=mac)["devices"]
            return rows[0] if rows and condition(rows[0]) else None
        return wait(found) or (self.data("devices", which=mac)["devices"] or [{}])[0]


def text(mac):
    return mac.hex(":")


lab = None


@section
def inventory():
    agent = lab.start()
    lab.send(0, dhcp(LAPTOP, b"work-laptop"),
             *tls(LAPTOP, "10.88.0.11", "203.0.113.5", 50001, b"www.netflix.com"))
    lab.send(1, mdns(PRINTER, "10.88.0.12", b"Office Printer", b"printer", "10.88.0.12"),
             ssdp(PRINTER, "10.88.0.12", b"Linux UPnP/1.0 Thing/1"))
    row = lab.device(text(LAPTOP), lambda row: row.get("fingerprints", {}).get("ja4"))
    same("name", row.get("name"), "work-laptop")
    same("addresses", row.get("addresses"), ["10.88.0.11"])
    same("vendor", row.get("vendor"), "Raspberry Pi")
    same("not made up", row.get("made_up"), False)
    same("kind and system", (row.get("kind"), row.get("os")), ("computer", "Windows"))
    check("it is said how sure and why", row.get("os_confidence", 0) >= 80 and
          "MSFT 5.0" in row.get("os_reason", ""), row)
    prints = row.get("fingerprints", {})
    same("options", prints.get("dhcp_options"), ["1,3,6,15,31,33,43,44,46,47,119,121,249,252"])
    same("class", prints.get("dhcp_class"), ["MSFT 5.0"])
    check("JA4", str(prints.get("ja4", [""])[0]).startswith("t13d02"), prints)
    check("online and counted", row.get("online") is True and row.get("tx_bytes", 0) > 0 and
          row.get("last_seen", 0) >= row.get("first_seen", 1) > 0, row)
    row = lab.device(text(PRINTER), lambda row: row.get("fingerprints", {}).get("server"))
    same("printer", (row.get("name"), row.get("kind"), row.get("made_up")),
         ("Office Printer", "printer", True))
    prints = row.get("fingerprints", {})
    same("services", prints.get("mdns_service"), ["_ipp._tcp"])
    same("server", prints.get("server"), ["Linux UPnP/1.0 Thing/1"])
    same("model", prints.get("model"), ["HP 1"])
    for which in ("10.88.0.12", "printer", "Office Printer", text(PRINTER).upper()):
        rows = lab.data("devices", which=which)["devices"]
        same(f"found by {which}", [one["macaddr"] for one in rows], [text(PRINTER)])
    same("nobody", lab.data("devices", which="10.88.0.99")["devices"], [])
    # The other interfaces tell the same.
    rows = agent.udp(f"r 1 devices {text(LAPTOP)}")
    same("UDP", (rows[0]["macaddr"], rows[0]["name"], rows[0]["online"]),
         (text(LAPTOP).upper(), "work-laptop", 1))
    status, _, body = fetch(f"/api/devices/{text(LAPTOP)}")
    same("HTTP", (status, [one["name"] for one in json.loads(body)["devices"]]), (200, ["work-laptop"]))
    same("nothing of HTTP", json.loads(fetch("/api/devices?n=1")[2])["devices"][0]["own"], False)
    found = rpcd("devices", {"which": "work-laptop"})
    same("rpcd", [one["macaddr"] for one in found["devices"]], [text(LAPTOP)])
    pages = lab.data("devices", n=1)
    check("pages", pages["more"] is True and len(pages["devices"]) == 1, pages)
    rest = lab.data("devices", n=1, after=pages["next"])["devices"]
    check("the next page", rest and rest[0]["macaddr"] != pages["devices"][0]["macaddr"], rest)
    own = [one["own"] for one in lab.data("devices")["devices"]]
    same("this machine comes last", own, sorted(own))
    # What is used.
    apps = wait(lambda: [one for one in lab.data("apps")["apps"] if one["app"] == "netflix"]) or [{}]
    same("application", (apps[0].get("kind"), apps[0].get("devices"), apps[0].get("flows")),
         ("application", 1, 1))
    for of, key in (("app", "netflix"), ("peer", "203.0.113.5"), ("device", text(LAPTOP)),
                    ("host", "10.88.0.11"), ("protocol", "MDNS")):
        rows = lab.data("top", of=of, n=50)["top"]
        check(f"top of={of}", key in [one["key"] for one in rows], rows)
    rows = lab.data("top", of="device", by="packets")["top"]
    check("devices have names", "work-laptop" in [one.get("name") for one in rows], rows)
    check("top over UDP", "netflix" in [one["key"] for one in agent.udp("r 1 top of=app")])
    same("wrong", lab.data("top", of="colour")["code"], 501)
    flows = lab.data("list-flows", port=443)["flows"]
    same("flows have names", flows[0].get("local_name"), "work-laptop")
    details = {row["key"]: row["value"] for row in lab.data("flow", id=flows[0]["id"])["flows"]}
    same("a flow in detail", (details.get("application"), details.get("server_name"),
                              details.get("found_by")),
         ("netflix", "www.netflix.com", "name of the host"))
    check("JA4 of a flow", details.get("ja4", "").startswith("t13d02"), details)
    same("HTTP tells flows", fetch(f"/api/flow/{flows[0]['id']}")[0], 200)
    same("no such flow", fetch("/api/flow/999999999999")[0], 404)


@section
def events():
    agent = lab.start("-s", "devices_offline=2", "-s", "flows_idle=1")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(15)
        client.connect(agent.path)
        client.sendall(b'{"command":"subscribe","data":["device"]}\n')
        lines = client.makefile()
        same("subscribed", json.loads(lines.readline())["code"], 100)
        lab.send(0, dhcp(LAPTOP, b"work-laptop"))
        told = json.loads(lines.readline())
        same("new", (told["type"], told["what"], told["action"], told["macaddr"]),
             ("device", "new", 1, text(LAPTOP)))
        same("vendor", told["vendor"], "Raspberry Pi")
        told = json.loads(lines.readline())
        same("offline", (told["what"], told["action"], told["name"]), ("offline", 3, "work-laptop"))
        same("it is offline", lab.device(text(LAPTOP)).get("online"), False)
        lab.send(0, dhcp(LAPTOP, b"work-laptop"))
        told = json.loads(lines.readline())
        same("online", (told["what"], told["action"]), ("online", 2))
    topics = [row["topic"] for row in agent.udp("r 1 help.events")]
    check("topic", "device" in topics, topics)


@section
def names():
    agent = lab.start()
    with open(lab.file("leases"), "w", encoding="utf-8") as file:
        file.write(f"1999999999 {text(LAPTOP)} 10.88.0.11 from-the-lease *\n")
    with open(lab.file("hosts"), "w", encoding="utf-8") as file:
        file.write(f"10.88.0.12 printer.lan\n{text(PRINTER)} the-printer\n")
    lab.send(0, dhcp(LAPTOP, b"said-itself"), *tls(LAPTOP, "10.88.0.11", "203.0.113.9", 50002, b"x.example"))
    lab.send(1, ssdp(PRINTER, "10.88.0.12", b"x"))
    row = lab.device(text(LAPTOP), lambda row: row.get("name") == "from-the-lease")
    same("the lease is believed more", row.get("names"), ["from-the-lease", "said-itself"])
    same("and it is said who says so", row.get("name_sources"), ["lease", "dhcp"])
    row = lab.device(text(PRINTER), lambda row: row.get("name") == "the-printer")
    same("ethers, hosts", row.get("names"), ["the-printer", "printer.lan"])
    with open(lab.file("hosts"), "w", encoding="utf-8") as file:
        file.write("10.88.0.12 renamed.lan\n")
    row = lab.device(text(PRINTER), lambda row: row.get("name") == "renamed.lan")
    same("read again", row.get("names"), ["renamed.lan"])
    # Hints of DNS: through aliases, and of HTTPS records; for hosts elsewhere.
    resolver = "198.51.100.53"
    lab.send(1, answer(PRINTER, resolver, "10.88.0.11", b"www.netflix.com", "203.0.113.77",
                       (b"a.cdn.example", b"b.cdn.example")),
             answer(PRINTER, resolver, "10.88.0.11", b"www.youtube.com", "203.0.113.78", kind=65))
    for address, name in (("203.0.113.77", "www.netflix.com"), ("203.0.113.78", "www.youtube.com")):
        def told(address=address):
            rows = lab.data("lookup", what=address)["rows"]
            return {row["key"]: row for row in rows} if any(r["key"] == "name" for r in rows) else None
        rows = wait(told) or {}
        same("hint", rows.get("name", {}).get("value"), name)
        check("leads to its application", "rule dom" in rows.get("application", {}).get("from", ""), rows)
    lab.send(0, tcp(LAPTOP, "10.88.0.11", "203.0.113.77", 50003, 4444, 2, 1, 0),
             tcp(LAPTOP, "10.88.0.11", "203.0.113.77", 50003, 4444, 0x18, 2, 1, b"\x99\x88\x77 what is this"))
    flow = wait(lambda: [one for one in lab.data("list-flows", port=4444)["flows"]
                         if one["detected_application_name"] != "Unknown"]) or [{}]
    same("a flow by its hint", (flow[0].get("detected_application_name"), flow[0].get("dhc_hit"),
                                flow[0].get("dns_host_name")), ("netflix", True, "www.netflix.com"))
    # The same ends again.
    lab.send(0, *tls(LAPTOP, "10.88.0.11", "203.0.113.9", 50004, b"www.netflix.com"))
    def again(port=50004):
        flows = lab.data("list-flows", port=port)["flows"]
        return flows[0] if flows and flows[0]["detected_application_name"] == "netflix" else None
    first = wait(again) or {}
    same("not yet", first.get("fhc_hit"), False)
    agent.ask(command="flush", what="flows")
    lab.send(0, tcp(LAPTOP, "10.88.0.11", "203.0.113.9", 50004, 443, 2, 500, 0),
             tcp(LAPTOP, "10.88.0.11", "203.0.113.9", 50004, 443, 0x18, 501, 1, b"\x17\3\3\0\1x"))
    second = wait(again) or {}
    same("known at once", (second.get("fhc_hit"), second.get("detection_complete"),
                           second.get("host_server_name")), (True, True, "www.netflix.com"))
    status = lab.data("status")
    check("status", status["dhc_status"] is True and status["fhc_status"] is True and
          status["dhc_size"] > 0 and status["fhc_size"] > 0, {k: status[k] for k in status if "hc" in k})
    # Kept for the next run, in the volatile state.
    agent.stop()
    path = os.path.join(lab.file("volatile"), "dns-hints.csv")
    with open(path, encoding="utf-8") as file:
        kept = file.read()
    check("kept", '"www.netflix.com","203.0.113.77"' in kept and "10.88" not in kept, kept)
    same("nobody else reads it", os.stat(path).st_mode & 0o777, 0o600)
    lab.agent = Agent(portolan, lab.run, "-i", "br0", "-s", f"volatile_dir={lab.file('volatile')}")
    rows = {row["key"]: row["value"] for row in lab.data("lookup", what="203.0.113.77")["rows"]}
    same("known again", rows.get("name"), "www.netflix.com")
    row = lab.device(text(LAPTOP))
    check("devices are known again, as offline", row.get("online") is False and row.get("first_seen", 0) > 0, row)


@section
def lookup():
    agent = lab.start()
    lab.send(0, dhcp(LAPTOP, b"work-laptop"), *tls(LAPTOP, "10.88.0.11", "203.0.113.5", 50001, b"a.example"))
    lab.device(text(LAPTOP), lambda row: row.get("addresses"))

    def run(*words):
        return subprocess.run([portolan, "lookup", "--socket", agent.path, *words],
                              capture_output=True, text=True)
    done = run("10.88.0.11")
    check("a device by its address", done.returncode == 0 and "work-laptop" in done.stdout and
          text(LAPTOP) in done.stdout and "Raspberry Pi" in done.stdout and "private" in done.stdout
          and "10.88.0.1/24 br0" in done.stdout, done)
    done = run("--json", "www.netflix.com")
    told = json.loads(done.stdout)
    check("a name", told["agent"] is True and told["known"][0]["value"] == "netflix", told)
    done = run("no.such.name.example")
    check("nothing", done.returncode == 1 and "nothing is known" in done.stderr, done)
    check("no question", run().returncode == 2)
    rows = agent.udp("r 1 lookup www.netflix.com")
    check("UDP", rows and rows[0]["key"] == "application", rows)
    check("UDP without a word", agent.udp("r 1 lookup")[0].get("error") == "badarg")
    status, _, body = fetch("/api/lookup/www.netflix.com")
    same("HTTP", (status, json.loads(body)["rows"][0]["value"]), (200, "netflix"))
    found = rpcd("lookup", {"what": "www.netflix.com"})
    same("rpcd", found["rows"][0]["value"], "netflix")
    done = subprocess.run([portolan, "lookup", "--socket", "/nowhere/sock", "www.netflix.com"],
                          capture_output=True, text=True)
    check("without an agent", done.returncode == 0 and "netflix" in done.stdout and
          "shipped rules" in done.stderr, done)
    done = subprocess.run([portolan, "lookup", "--socket", "/nowhere/sock", "b8:27:eb:00:00:01"],
                          capture_output=True, text=True)
    check("a vendor without an agent", "Raspberry Pi" in done.stdout, done)
    helped = [row["cmd"] for row in agent.udp("r 1 help")]
    check("help", {"devices", "apps", "lookup", "top"} <= set(helped), helped)


# Quotes, backslash, line ends, NUL, what terminals obey, damage, markup, and a text turned round.
EVIL = b'\x1b[31m"\\><script>alert(1)</script>\n\r\0\x07\xff\xfe\xc2\x9b\xe2\x80\xae' + b"x" * 200


def obeyed(octet):
    """Whether a character is not seen but obeyed, by a terminal or by whoever reads."""
    return (octet < 32 and octet not in (10, 13)) or 127 <= octet < 160 or octet in (0x61c, 0xfeff) \
        or any(a <= octet <= b for a, b in ((0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x2069)))


def harmless(what, data):
    """Nothing that a terminal or a page obeys, and all of it UTF-8."""
    try:
        shown = data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        check(f"{what} is UTF-8", False, f"{error}: {data[:300]!r}")
        return ""
    bad = sorted({ord(c) for c in shown if obeyed(ord(c))})
    check(f"{what} is clean", not bad, f"{[hex(one) for one in bad]} in {shown[:300]!r}")
    if "html" in what:
        check(f"{what} has no markup of others", "<script" not in shown and "<b>" not in shown, shown[:600])
    return shown


def fields_of(data):
    """Numbers and values of a message in protobuf; a value is a number or octets."""
    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value
    at = 0
    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or number()
            yield key >> 3, data[at:at + size]
            at += size


def post(path, members, accept="application/json"):
    one = http.client.HTTPConnection("127.0.0.1", 5001, timeout=15)
    one.request("POST", path, json.dumps(members), {"Content-Type": "application/json", "Accept": accept})
    found = one.getresponse()
    return found.status, found.read()


def websocket(path, *fields):
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1:5001", "Connection: Upgrade", "Upgrade: websocket",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *fields]
    one = Bare(head="\r\n".join(lines) + "\r\n\r\n")
    same(f"{path} opens", one.status, 101)
    return one


def message(one):
    """A whole message of a WebSocket, its parts put together."""
    whole = b""
    while True:
        first, payload = one.frame()
        if first & 15 in (0, 1, 2):
            whole += payload
            if first & 128:
                return whole


def hostile_frames():
    web = (b"GET /" + EVIL[:20].replace(b"\n", b"") + b" HTTP/1.1\r\nHost: " + EVIL.replace(b"\n", b"").replace(b"\r", b"")
           + b"\r\nUser-Agent: " + EVIL.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n\r\n")
    return [dhcp(LAPTOP, EVIL), dhcp(LAPTOP, b"\x1b]0;pwned\x07\xe2\x80\xae" + b"y" * 240, kind=EVIL[:100]),
            mdns(LAPTOP, "10.88.0.11", EVIL[:63], EVIL[:63], "10.88.0.11"),
            ssdp(LAPTOP, "10.88.0.11", EVIL.replace(b"\n", b"").replace(b"\r", b"")),
            answer(LAPTOP, "198.51.100.53", "10.88.0.12", EVIL[:60], "203.0.113.66"),
            answer(LAPTOP, "198.51.100.53", "10.88.0.12", b"\xe2\x80\xaegpj.example", "203.0.113.67"),
            answer(LAPTOP, "198.51.100.53", "10.88.0.12", b"<script>.example", "203.0.113.68"),
            *tls(LAPTOP, "10.88.0.11", "203.0.113.66", 50009, EVIL),
            tcp(LAPTOP, "10.88.0.11", "203.0.113.67", 50010, 80, 2, 100, 0),
            tcp(LAPTOP, "10.88.0.11", "203.0.113.67", 50010, 80, 0x18, 101, 1, web)]


def told_by(address):
    """What a consumer of telemetry takes, in the background."""
    one = socket.create_connection(address, 10)
    one.settimeout(None)
    data = bytearray()

    def read():
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                data.extend(piece)
    threading.Thread(target=read, daemon=True).start()
    return data


@section
def hostile():
    """Names with all that could do harm, through every interface."""
    log = tempfile.mktemp(dir=lab.folder)
    posts, datagrams = [], socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    datagrams.settimeout(5)

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Interfaces may be called nearly anything, and be described by anything.
    names = ['<b>"\\\x1b[2Jx', "\u202egpj'&"]
    ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
    atexit.register(ip, "link", "del", names[0], quiet=True)
    for name in names:
        ip("link", "set", name, "up")
    ip("link", "set", names[0], "alias", '<script>\x1b[2J"\\\u202e\n')
    agent = lab.start("-s", "log_level=4", "-s", "telemetry_listen=tcp://127.0.0.1:7151",
                      "-s", "telemetry_legacy=tcp://127.0.0.1:7150", "-s", f"telemetry_log={log}",
                      "-s", f"telemetry_send=http://127.0.0.1:{server.server_port}/in "
                            f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
    sinks = {"lines": told_by(("127.0.0.1", 7151)), "the old stream": told_by(("127.0.0.1", 7150))}
    with socket.socket(socket.AF_UNIX) as events:
        events.connect(agent.path)
        events.settimeout(15)
        events.sendall(b'{"command":"subscribe","data":["flow","device","iface","peer"]}\n')
        heard = events.makefile("rb")
        same("subscribed", json.loads(heard.readline())["code"], 100)
        lab.send(0, *hostile_frames())
        row = lab.device(text(LAPTOP), lambda row: row.get("fingerprints", {}).get("server"))
        lines = [heard.readline() for _ in range(8)]
        harmless("events", b"".join(lines))
    check("it is kept", "[31m" in row.get("name", "") or "pwned" in row.get("name", ""), row)
    check("the name to show commands nobody", not any(obeyed(ord(c)) for c in row.get("name", "\n")), row)
    check("no name is longer than may be", all(len(name.encode()) <= 255 for name in row["names"]), row)
    flows = wait(lambda: [one for one in lab.data("list-flows", port=443)["flows"]
                          if one.get("host_server_name")]) or []
    check("the flow is there", flows, lab.data("list-flows"))

    def unix(**request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(agent.path)
            client.sendall(json.dumps(request).encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            data = b""
            while piece := client.recv(65536):
                data += piece
        return data

    identity = flows[0]["id"] if flows else 1
    nodes = "G.V().Has('Name', Regex('.*gpj.*'))"
    for request in ({"command": "devices"}, {"command": "list-flows"}, {"command": "neighbours"},
                    {"command": "top", "of": "device"}, {"command": "top", "of": "host"},
                    {"command": "apps"}, {"command": "flow", "id": identity},
                    {"command": "interfaces"}, {"command": "nodes"},
                    {"command": "lookup", "what": text(LAPTOP)},
                    {"command": "lookup", "what": "10.88.0.11"},
                    {"command": "lookup", "what": "\x1b[2J\u202e"}, {"command": "\x1b\u202e"},
                    {"command": "list-flows", "where": "\x1b\u202e == 1"},
                    {"command": "gremlin", "data": "G.V()"}, {"command": "gremlin", "data": "G.Flows()"},
                    {"command": "gremlin", "data": "G.\x1b\u202e()"}):
        data = harmless(f"Unix {request}", unix(**request))
        check(f"Unix {request} is one line of JSON", json.loads(data)["code"] and data.count("\n") == 1)
    found = json.loads(unix(command="gremlin", data=nodes))
    same("a name comes back as it is", [one["Metadata"]["Name"] for one in found["data"]], [names[1]])
    for line in ("devices", "flows", "edges", "top of=device", f"flow {identity}", "interfaces", "nodes",
                 f"lookup {text(LAPTOP)}", "apps", f"devices {text(LAPTOP)}", "\x1b\u202e", "lookup \u202e"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.sendto(f"r 1 {line}".encode(), ("127.0.0.1", 5644))
            with contextlib.suppress(TimeoutError):
                while True:
                    datagram = client.recv(65536)
                    data = harmless(f"UDP {line!r}", datagram)
                    kind = json.loads(data)["_type"]
                    check(f"UDP {line!r} is short and one line", len(datagram) <= 1024 and data.count("\n") <= 1)
                    if kind in ("end", "error"):
                        break
    for path in ("/api/devices", "/api/apps", "/api/top?of=device", f"/api/flow/{identity}",
                 f"/api/lookup/{text(LAPTOP)}", "/api/topology", "/", "/api/lookup/%1b%5b2J%e2%80%ae",
                 "/json", "/discover/mobyshark", "/mobyshark", "/api/status", "/%1b%e2%80%ae",
                 "/capture.pcapng?nif=%1b%e2%80%ae", "/api/config/%1b"):
        status, fields, body = fetch(path)
        is_page = status == 200 and "html" in fields.get("content-type", "")
        shown = harmless(f"{'html' if is_page else 'HTTP'} {path}", body)
        if path == "/":
            check("the page shows it as text", not is_page or "&lt;b&gt;&quot;\\?[2Jx" in shown, shown[:2000])
    for accept in ("application/json", "text/vnd.graphviz"):
        for asked in ("G.V()", "G.E()", nodes, "G.V().Values('Name')", "G.Flows()", "G.\x1b\u202e()"):
            status, body = post("/api/topology", {"GremlinQuery": asked}, accept)
            harmless(f"POST {asked!r} as {accept}", body)
        one = fetch("/api/topology", headers=[("Accept", accept)])
        shown = harmless(f"GET as {accept}", one[2])
    check("dot has quotes escaped", r'<b>\"\\ [2Jx' in shown, shown[-900:])

    # Over WebSockets, as JSON and as protobuf.
    request = b'{"Namespace":"Graph","Type":"SyncRequest","UUID":"u","Obj":{}}'
    proto = b"\x0a\x05Graph\x12\x0bSyncRequest\x1a\x01u\x32\x02{}"
    for form in ("json", "protobuf"):
        one = websocket("/ws/subscriber", f"X-Client-Protocol: {form}", f"X-Host-ID: {form}")
        one.send(*((0x81, request) if form == "json" else (0x82, proto)))
        ip("link", "set", names[1], "mtu", "1400" if form == "json" else "1300")
        kinds = set()
        while not {"SyncReply", "NodeUpdated"} <= kinds:
            try:
                data = message(one)
            except EOFError:
                check(f"WebSocket {form} tells changes", False, kinds)
                break
            if form == "json":
                harmless("WebSocket json", data)
                whole = json.loads(data)
                kind, shown = whole["Type"], json.dumps(whole["Obj"], ensure_ascii=False)
            else:
                texts = [value for _, value in fields_of(data) if isinstance(value, bytes)]
                for value in texts:
                    shown = harmless("WebSocket protobuf", value)
                kind = next(value.decode() for value in texts if value in (
                    b"SyncReply", b"NodeUpdated", b"NodeAdded", b"EdgeAdded", b"EdgeUpdated", b"NodeDeleted",
                    b"EdgeDeleted"))
            if kind == "SyncReply":
                check(f"WebSocket {form} has the names", "[2Jx" in shown and "gpj" in shown, shown[:300])
            kinds.add(kind)
    for method, arguments in (("devices", {}), ("lookup", {"what": text(LAPTOP)}), ("flows", {}),
                              ("top", {"of": "device"}), ("flow", {"id": identity}), ("apps", {}),
                              ("interfaces", {}), ("\x1b\u202e", {}), ("devices", {"\x1b\u202e": 1})):
        harmless(f"rpcd {method!r}", rpcd_text(method, arguments))
        if "\x1b" not in method and "\x1b\u202e" not in arguments:
            check(f"rpcd {method}", "error" not in rpcd(method, arguments), rpcd(method, arguments))
    for words in (["lookup", "--socket", agent.path, text(LAPTOP)],
                  ["lookup", "--socket", agent.path, "10.88.0.11"],
                  ["lookup", "--socket", agent.path, "203.0.113.67"],
                  ["lookup", "--socket", agent.path, "--json", text(LAPTOP)],
                  ["lookup", "--socket", agent.path, "\x1b[2J\u202e"],
                  ["query", "--socket", agent.path, "G.V()"], ["query", "--socket", agent.path, "G.\u202e()"],
                  ["query", "--socket", agent.path, "--json", "G.V()"],
                  ["ctl", "r", "devices"], ["ctl", "r", f"flow {identity}"], ["ctl", "r", "interfaces"],
                  ["ctl", "r", "\u202e\x1b"], ["read", "/\x1b[2J\u202e"], ["run", "-s", "\x1b\u202e=1"]):
        done = subprocess.run([portolan, *words], capture_output=True)
        harmless(" ".join(words), done.stdout + done.stderr)

    # Names that go into captures.
    addressed = [tcp(LAPTOP, "10.88.0.11", f"203.0.113.{n}", 50020, 80, 2, 1, 0) for n in (66, 67, 68)]
    taken = []
    fetching = threading.Thread(target=lambda: taken.append(fetch("/capture.pcapng?nif=br0&filter=tcp&count=12")[2]))
    fetching.start()
    end = time.monotonic() + 20
    while fetching.is_alive() and time.monotonic() < end:
        lab.send(0, *addressed)
        fetching.join(0.05)
    taken = taken[0]
    at, resolved = 0, []
    while at + 12 <= len(taken):
        kind, size = struct.unpack("<II", taken[at:at + 8])
        if kind == 4:
            resolved.append(taken[at + 8:at + size - 4])
        at += size
    held = b"".join(resolved)
    check("names of DNS are in the capture", b"<script>.example" in held, held)
    check("no hidden ones are", b"\x1b" not in held and "\u202e".encode() not in held, held)

    # Telemetry in every form.
    mark = "203.0.113.66"
    for name, data in sinks.items():
        check(f"{name} tell it", wait(lambda data=data: b"host_server_name" in data and mark.encode() in data), data[-300:])
        harmless(name, bytes(data[:data.rfind(b"\n") + 1]))
    check("posts tell it", wait(lambda: any(mark.encode() in one for one in posts), 20))
    harmless("posts", b"".join(posts))
    with contextlib.suppress(TimeoutError):
        for _ in range(50):
            harmless("a datagram", datagrams.recv(70000))
    agent.stop()
    with open(log, "rb") as file:
        data = file.read()
    check("the file tells it", mark.encode() in data, data[-300:])
    harmless("the file of telemetry", data)
    with open(agent.log.name, "rb") as file:
        harmless("lines on standard error", file.read())
    server.shutdown()

    # The same octets in a file.
    path = lab.file("hostile.pcap")
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for at, frame in enumerate(hostile_frames()):
            file.write(struct.pack("<IIII", 1700000000 + at, 0, len(frame), len(frame)) + frame)
    for option in ([], ["--json"], ["--csv"], ["--telemetry"]):
        done = subprocess.run([portolan, "read", *option, path], capture_output=True)
        same(f"read {option}", done.returncode, 0)
        shown = harmless(f"read {option}", done.stdout + done.stderr)
        if option == ["--csv"]:
            rows = list(csv.reader(io.StringIO(shown)))
            check("rows of one length", len({len(one) for one in rows}) == 1, [len(one) for one in rows])
            hosts = {one[rows[0].index("host")] for one in rows[1:]}
            check("names are in it", any("[31m" in one for one in hosts), hosts)


@section
def caps():
    """Made-up devices beyond the cap: those that are known stay, and losses are counted."""
    agent = lab.start()
    ip("neigh", "replace", "10.88.0.200", "lladdr", text(PRINTER), "dev", "br0", "nud", "reachable")
    known = lab.device(text(PRINTER))
    same("a neighbour is a device", known.get("confirmed"), True)
    for n in range(3000):
        mac = b"\x06\0\0" + n.to_bytes(3, "big")
        lab.send(0, udp(mac, f"10.88.0.{n % 200 + 2}", "255.255.255.255", n + 1000, 9, b"x" * 20))
    status = wait(lambda: (s := lab.data("status"))["devices"] == 1024 and s)
    check("the table is full and no more", status, lab.data("status")["devices"])
    def lost():
        counters = lab.data("status")["counters"]
        return counters["devices_forgotten"] + counters["devices_refused"]
    check("losses are counted", wait(lambda: lost() >= 1900), lost())
    same("the neighbour stays", lab.device(text(PRINTER)).get("confirmed"), True)
    rows, after = [], 0
    while after is not None:
        page = lab.data("devices", n=200, after=after)
        rows += [row["macaddr"] for row in page["devices"]]
        after = page["next"]
    check("all pages hold each device once", len(rows) == len(set(rows)) == 1024, len(rows))
    check("memory", agent.rss() < 60_000, agent.rss())
    ip("neigh", "del", "10.88.0.200", "dev", "br0", quiet=True)


def rpcd_text(method, arguments):
    done = subprocess.run([portolan, "rpcd", "--socket", lab.agent.path, "call", method],
                          input=json.dumps(arguments).encode(), capture_output=True)
    return done.stdout


def rpcd(method, arguments):
    return json.loads(rpcd_text(method, arguments))


wanted = next((sys.argv[at + 1].split(",") for at, word in enumerate(sys.argv) if word == "--only"), None)
lab = Lab()
for name, function in sections.items():
    if wanted is None or name in wanted:
        current = name
        before = failed
        try:
            function()
        except Exception as error:  # A section that breaks off has failed.
            check("it ran to its end", False, f"{type(error).__name__}: {error} {traceback.format_exc()[-600:]}")
        with contextlib.suppress(Exception):
            lab.agent.stop()
        with contextlib.suppress(Exception):
            lab.agent.process.kill()
            lab.agent.process.wait()
        print(f"{name}: {'ok' if failed == before else 'FAILED'}", flush=True)
print(f"devices.py: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
