#!/usr/bin/env python3
"""A router between two networks, watched from within: nat.py PORTOLAN

Three network namespaces of its own: a host, a router with a masquerade rule and the agent on it, a
server. What the agent says of translated connections is compared with what was sent. Needs root,
ip, nft and a kernel that tracks connections; without them it says so and passes.
"""
import atexit
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

prefix = f"pn{os.getpid() % 100000}"
passed, failed = 0, 0
libc = ctypes.CDLL(None, use_errno=True)
LAN, WAN, SERVER = "192.168.77.5", "203.0.113.7", "203.0.113.9"


def skip(why):
    print(f"SKIPPED nat.py: {why}")
    sys.exit(0)


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {str(detail)[:1500]}", flush=True)
    return bool(holds)


def run(*words):
    return subprocess.run(words, capture_output=True, text=True)


def must(*words):
    done = run(*words)
    if done.returncode:
        skip(f"{' '.join(words)}: {done.stderr.strip()}")


def within(name):
    """This thread is in a namespace from now on."""
    with open(f"/run/netns/{prefix}-{name}") as file:
        if libc.setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def in_space(name, work):
    """The result of a function that is run by a thread in a namespace."""
    result = []

    def inside():
        within(name)
        result.append(work())
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    return result[0]


def until(test, seconds=10):
    """The first true result of a function, or its last."""
    end = time.monotonic() + seconds
    while not (result := test()) and time.monotonic() < end:
        time.sleep(0.05)
    return result


class Agent:
    def __init__(self, *options, space="router"):
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "sock")
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.port = 5644
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", f"{prefix}-{space}", program, "-i", "lan0", "-i", "wan0",
             "--set", "capture_wan=wan0", "--set", "capture_lan=lan0",
             "--set", "netns_discovery=no", "--set", "update_interval=5", "--http", "off",
             "--socket", self.path, "--state-dir", os.path.join(self.folder, "state"), *options],
            stderr=self.log, stdin=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        if not until(lambda: os.path.exists(self.path)):
            raise SystemExit(f"the agent does not start: {self.said()}")
        taking = until(lambda: all(
            row["capturing"] for row in self.data("status")["capture"]))
        check("both interfaces are captured", taking, self.said())

    def said(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(self.path)
        return client

    def ask(self, command, **members):
        with self.connect() as client:
            client.sendall(json.dumps({"command": command, **members}).encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            with client.makefile() as lines:
                return json.loads(lines.readline())

    def data(self, command, **members):
        return self.ask(command, **members)["data"]

    def flows(self, where, **members):
        return self.data("list-flows", where=where, **members)["flows"]

    def told(self, line):
        """The datagrams that the management port answers with."""
        def work():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                client.sendto(line.encode(), ("127.0.0.1", self.port))
                rows = []
                while True:
                    row = json.loads(client.recv(4096))
                    rows.append(row)
                    if row["_type"] in ("end", "error", "subscribed"):
                        return rows
        return in_space("router", work)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        atexit.unregister(self.process.kill)
        self.log.close()
        shutil.rmtree(self.folder)


def socket_in(name, kind, place):
    def make():
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.settimeout(5)
        return made
    return in_space(name, make)


def connection(port, server_port=443):
    """Both ends of a connection from the host, and what closes them."""
    server = socket_in("server", socket.SOCK_STREAM, (SERVER, server_port))
    server.listen()
    client = socket_in("host", socket.SOCK_STREAM, (LAN, port))
    client.connect((SERVER, server_port))
    accepted, _ = server.accept()
    accepted.settimeout(5)
    server.close()
    return client, accepted


def pass_on(one, other, octets):
    one.sendall(b"x" * octets)
    left = octets
    while left > 0:
        left -= len(other.recv(65536))


def build():
    for name in ("host", "router", "server"):
        must("ip", "netns", "add", f"{prefix}-{name}")
        atexit.register(run, "ip", "netns", "del", f"{prefix}-{name}")
    host, router, server = (f"{prefix}-{name}" for name in ("host", "router", "server"))
    must("ip", "link", "add", "eth0", "netns", host, "type", "veth",
         "peer", "name", "lan0", "netns", router)
    must("ip", "link", "add", "eth0", "netns", server, "type", "veth",
         "peer", "name", "wan0", "netns", router)
    for space, device, address in ((host, "eth0", f"{LAN}/24"), (server, "eth0", f"{SERVER}/24"),
                                   (router, "lan0", "192.168.77.1/24"),
                                   (router, "wan0", f"{WAN}/24")):
        must("ip", "-n", space, "addr", "add", address, "dev", device)
        must("ip", "-n", space, "link", "set", device, "up")
        must("ip", "-n", space, "link", "set", "lo", "up")
    must("ip", "-n", host, "route", "add", "default", "via", "192.168.77.1")
    for path, value in (("net/ipv4/ip_forward", 1), ("net/netfilter/nf_conntrack_acct", 1)):
        must("ip", "netns", "exec", router, "sh", "-c", f"echo {value} > /proc/sys/{path}")
    for rule in ("add table ip nat",
                 "add chain ip nat post { type nat hook postrouting priority 100; }",
                 'add rule ip nat post oifname "wan0" meta l4proto tcp masquerade to :61000-61999',
                 'add rule ip nat post oifname "wan0" masquerade',
                 "add chain ip nat pre { type nat hook prerouting priority -100; }",
                 f'add rule ip nat pre iifname "wan0" tcp dport 8080 dnat to {LAN}:80',
                 "add chain ip nat on { type filter hook forward priority 0; }",
                 "add rule ip nat on ct state new ct mark set 7"):
        must("ip", "netns", "exec", router, "nft", rule)


def both_sides(source, has_numbers):
    """A connection of the host is the same on both sides of the router."""
    agent = Agent("--set", f"conntrack={source}")
    status = agent.data("status")["conntrack"]
    check(f"{source}: the status says so", status["source"] == source, status)
    client, server = connection(40001)
    port = server.getpeername()[1]
    check("the router translates ports", 61000 <= port <= 61999, port)
    pass_on(client, server, 1000)
    pass_on(server, client, 5000)
    flows = until(lambda: found if len(found := agent.flows(
        "other_port == 443 && ip_nat && fwmark == 7")) == 2 else None, 15)
    if not check(f"{source}: both flows are known as translated", flows,
                 agent.flows("ip_protocol == 6")):
        return agent.stop()
    inside, outside = sorted(flows, key=lambda flow: flow["interface"])
    check("inside and outside", (inside["interface"], inside["local_ip"], outside["local_ip"],
                                 outside["local_port"]) == ("lan0", LAN, WAN, port), flows)
    check("each names the other", (inside["nat"], outside["nat"]) == (
        {"opener_ip": WAN, "opener_port": port, "server_ip": SERVER, "server_port": 443},
        {"opener_ip": LAN, "opener_port": 40001, "server_ip": SERVER, "server_port": 443}), flows)
    reply = {"mark": 7, "reply_src_ip": SERVER, "reply_src_port": 443, "reply_dst_ip": WAN,
             "reply_dst_port": port}
    for flow in flows:
        if has_numbers:
            number = flow["conntrack"].pop("id")
            check("the kernel's number", number > 0 and flow["conntrack"] == reply, flow)
        else:
            check("no number, no object", "conntrack" not in flow, flow)
    rows = {row["key"]: row["value"] for row in agent.told(f"r 1 flow {inside['id']}")
            if row["_type"] == "row"}
    check("rows of one flow", (rows.get("nat_src"), rows.get("nat_sport"), rows.get("nat_dst"),
                               rows.get("ct_mark")) == (WAN, port, SERVER, 7), rows)
    sums = agent.data("status")["conntrack"]
    check("sums", sums["translated"] >= 1 and sums["accounting"], sums)
    client.close()
    server.close()
    agent.stop()


def origin():
    """Who opened a connection that was there before the agent."""
    client, server = connection(40002)
    fresh = socket_in("server", socket.SOCK_STREAM, (SERVER, 0))
    listening = socket_in("host", socket.SOCK_STREAM, (LAN, 80))
    listening.listen()
    fresh.connect((WAN, 8080))
    accepted, _ = listening.accept()
    accepted.settimeout(5)
    agent = Agent()
    until(lambda: agent.data("status")["conntrack"]["connections"] >= 2)
    pass_on(server, client, 100)
    pass_on(accepted, fresh, 100)
    for where, local in ((f"local_ip == {LAN} && port == 443", "local"),
                         (f"local_ip == {WAN} && port == 443", "local"),
                         (f"local_ip == {LAN} && local_port == 80", "other"),
                         (f"local_ip == {WAN} && local_port == 8080", "other")):
        flow = until(lambda: agent.flows(f"{where} && origin == origin_{local} && ip_nat"))
        check(f"{where} was opened by {local}", flow, agent.flows("*"))
    for one in (client, server, fresh, accepted, listening):
        one.close()
    agent.stop()


def filters():
    """One language everywhere, and errors with their place."""
    agent = Agent("--set", "conntrack=off")
    status = agent.data("status")["conntrack"]
    check("turned off is said", (status["source"], "turned off" in status["state"]) ==
          ("none", True), status)
    wrong = agent.ask("list-flows", where="app == x && port == http")
    check("an error over the Unix socket has its place", wrong["code"] == 501 and
          wrong["message"] == 'where: port is a number, not "http" at column 21', wrong)
    wrong = agent.ask("subscribe", data=["flow"], where="apple")
    check("so has one of a subscription", wrong["code"] == 501 and "column 1" in wrong["message"],
          wrong)
    wrong = agent.told("r 1 flows where=port == http")
    check("and one over UDP", ("badarg", True) == (wrong[1].get("error"),
          "column 9" in wrong[1].get("detail", "")), wrong)
    wrong = agent.told("s 1:1:n2n flow where=apple")
    check("and one of a subscription there", wrong[0].get("error") == "badarg" and
          "column 1" in wrong[0].get("detail", ""), wrong)
    agent.ask("add-group-address", group="kids", data=[LAN])
    with agent.connect() as stream:
        # A query is answered by nobody; only those of the group are wanted.
        stream.sendall(json.dumps({
            "command": "subscribe", "data": ["flow"],
            "where": "local_ip == @kids && (protocol == 'DNS' || other_port == 9)"}
        ).encode() + b"\n")
        lines = stream.makefile()
        check("subscribed", json.loads(lines.readline())["code"] == 100)
        udp = socket_in("host", socket.SOCK_DGRAM, (LAN, 40003))
        for place in ((SERVER, 99), (SERVER, 53), (SERVER, 9)):
            query = bytes.fromhex("123401000001000000000000") + b"\7example\3org\0\0\1\0\1"
            udp.sendto(query, place)
        events = []
        while sum(event["type"].startswith("flow") for event in events) < 3:
            events.append(json.loads(lines.readline()))
        flows = [event for event in events if event["type"].startswith("flow")]
        seen = [(event["type"], event["flow"]["other_port"]) for event in flows]
        check("only what was asked for is told, as soon as it is true", sorted(seen)[0] ==
              ("flow", 9) and all(port in (9, 53, 99) for _, port in seen) and
              any(kind.startswith("flow_dpi") for kind, _ in seen), seen)
        check("of the group alone", all(event["flow"]["local_ip"] == LAN for event in flows), seen)
        udp.close()
    names = until(lambda: agent.flows("detected_hostname == 'rx:^example[.]' && ip_nat == false"))
    check("a regular expression", names, agent.flows("*"))
    rows = agent.told("r 1 flows where='protocol == DNS && port != 53' n=5")
    check("an expression with blanks over UDP", rows[-1]["_type"] == "end" and
          len(rows) > 2 and all(row["dport"] in (9, 99) for row in rows[1:-1]), rows)
    top = agent.data("top", of="port", where="other_port == 9")["top"]
    check("the heaviest of what was asked for", [row["key"] for row in top] == ["udp/9"], top)
    agent.stop()


def processes():
    """Whose a connection of the router itself is."""
    # With it the agent keeps the right to look at processes.
    agent = Agent("--set", "netns_discovery=yes")
    server = socket_in("server", socket.SOCK_STREAM, (SERVER, 4430))
    server.listen()
    child = subprocess.Popen(
        ["ip", "netns", "exec", f"{prefix}-router", sys.executable, "-c",
         f"import socket, sys; s = socket.create_connection(('{SERVER}', 4430)); s.send(b'x');"
         "sys.stdin.read()"], stdin=subprocess.PIPE)
    accepted, _ = server.accept()
    flows = until(lambda: agent.flows("port == 4430", process=1))
    check("its process is named", flows and flows[0].get("process", {}).get("pid") == child.pid
          and "python" in flows[0]["process"]["path"], flows)
    rows = {row["key"]: row["value"] for row in
            agent.told(f"r 1 flow {flows[0]['id']} process=1") if row["_type"] == "row"}
    check("so in the rows of one", int(rows.get("process_pid", 0)) == child.pid, rows)
    child.communicate()
    accepted.close()
    server.close()
    agent.stop()


if os.geteuid() != 0:
    skip("needs root for its network namespaces")
for tool in ("ip", "nft"):
    if shutil.which(tool) is None:
        skip(f"{tool} is not installed")
if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"):
    skip("this kernel tracks no connections")
program = os.path.abspath(sys.argv[1])
build()
both_sides("netlink", True)
both_sides("procfs", False)
origin()
filters()
processes()
print(f"nat.py: {passed} checks passed, {failed} failed")
sys.exit(failed > 0)
