#!/usr/bin/env python3
"""Devices and names, as an outsider sees them: devices.py PORTOLAN [--only NAME,...]

Two hosts on a bridge speak DHCP, multicast DNS, SSDP, DNS and TLS; what the agent then says of them
is held against what they sent, over every interface. Names of attackers must come out escaped
wherever they come out. Needs root and ip; without them it says so and passes.
"""
import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

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

from lab import Agent, Space, fetch, ip, wait  # noqa: E402

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


@section
def hostile():
    """Names with all that could do harm, through every interface."""
    agent = lab.start()
    evil = b'\x1b[31m"><script>\n\r\0\x07\xff\xfe\xc2\x9b' + b"x" * 200
    lab.send(0, dhcp(LAPTOP, evil), dhcp(LAPTOP, b"\x1b]0;pwned\x07" + b"y" * 240, kind=evil[:100]))
    lab.send(0, mdns(LAPTOP, "10.88.0.11", evil[:63], evil[:63], "10.88.0.11"),
             ssdp(LAPTOP, "10.88.0.11", evil.replace(b"\n", b"").replace(b"\r", b"")),
             answer(LAPTOP, "198.51.100.53", "10.88.0.12", evil[:60], "203.0.113.66"),
             *tls(LAPTOP, "10.88.0.11", "203.0.113.66", 50009, evil))
    row = lab.device(text(LAPTOP), lambda row: row.get("fingerprints", {}).get("server"))
    check("it is kept", "[31m" in row.get("name", "") or "pwned" in row.get("name", ""), row)
    check("no name is longer than may be", all(len(name.encode()) <= 255 for name in row["names"]), row)
    flows = wait(lambda: lab.data("list-flows", port=443)["flows"]) or []
    check("the flow is there", flows and flows[0].get("host_server_name"), flows)

    def raw(what, data):
        """Nothing that a terminal obeys, and all of it UTF-8."""
        text_of = data.decode("utf-8", "strict") if isinstance(data, bytes) else data
        bad = [c for c in text_of if (ord(c) < 32 and c not in "\n\r") or 127 <= ord(c) < 160]
        check(f"{what} is clean", not bad and "<script>" not in (text_of if "html" in what else ""),
              repr(text_of[:300]))
        return text_of

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
    for request in ({"command": "devices"}, {"command": "list-flows"}, {"command": "neighbours"},
                    {"command": "top", "of": "device"}, {"command": "top", "of": "host"},
                    {"command": "apps"}, {"command": "flow", "id": identity},
                    {"command": "lookup", "what": text(LAPTOP)},
                    {"command": "lookup", "what": "10.88.0.11"},
                    {"command": "lookup", "what": "\x1b[2J"},
                    {"command": "gremlin", "query": "G.V()"}, {"command": "gremlin", "query": "G.Flows()"}):
        data = raw(f"Unix {request}", unix(**request))
        check(f"Unix {request} is one line of JSON", json.loads(data)["code"] and data.count("\n") == 1)
    for line in ("devices", "flows", "edges", "top of=device", f"flow {identity}",
                 f"lookup {text(LAPTOP)}", "apps", f"devices {text(LAPTOP)}"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.sendto(f"r 1 {line}".encode(), ("127.0.0.1", 5644))
            with contextlib.suppress(TimeoutError):
                while True:
                    datagram = client.recv(65536)
                    data = raw(f"UDP {line}", datagram)
                    kind = json.loads(data)["_type"]
                    check(f"UDP {line} is short", len(datagram) <= 1024)
                    if kind in ("end", "error"):
                        break
    for path in ("/api/devices", "/api/apps", "/api/top?of=device", f"/api/flow/{identity}",
                 f"/api/lookup/{text(LAPTOP)}", "/api/topology", "/", "/api/lookup/%1b%5b2J"):
        status, fields, body = fetch(path)
        if status == 200 and "html" in fields.get("content-type", ""):
            raw(f"html {path}", body)
        else:
            raw(f"HTTP {path}", body)
    for method, arguments in (("devices", {}), ("lookup", {"what": text(LAPTOP)}), ("flows", {}),
                              ("top", {"of": "device"})):
        raw(f"rpcd {method}", rpcd_text(method, arguments))
        check(f"rpcd {method}", "error" not in rpcd(method, arguments))
    for words in (["lookup", "--socket", agent.path, text(LAPTOP)],
                  ["lookup", "--socket", agent.path, "10.88.0.11"],
                  ["lookup", "--socket", agent.path, "--json", text(LAPTOP)],
                  ["query", "--socket", agent.path, "G.V()"],
                  ["ctl", "r", "devices"], ["ctl", "r", f"flow {identity}"]):
        done = subprocess.run([portolan, *words], capture_output=True)
        raw(" ".join(words), done.stdout + done.stderr)
    # The same bytes in a file.
    path = lab.file("hostile.pcap")
    frames = [dhcp(LAPTOP, evil), *tls(LAPTOP, "10.88.0.11", "203.0.113.66", 50009, evil),
              mdns(LAPTOP, "10.88.0.11", evil[:63], evil[:63], "10.88.0.11")]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for at, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1700000000 + at, 0, len(frame), len(frame)) + frame)
    for option in ([], ["--json"], ["--csv"]):
        done = subprocess.run([portolan, "read", *option, path], capture_output=True)
        same(f"read {option}", done.returncode, 0)
        raw(f"read {option}", done.stdout + done.stderr)


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
            check("it ran to its end", False, f"{type(error).__name__}: {error}")
        with contextlib.suppress(Exception):
            lab.agent.stop()
        with contextlib.suppress(Exception):
            lab.agent.process.kill()
            lab.agent.process.wait()
        print(f"{name}: {'ok' if failed == before else 'FAILED'}", flush=True)
print(f"devices.py: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
