#!/usr/bin/env python3
"""Watches packets with the clients of others, as an outsider: packets.py PORTOLAN [--only NAME,...]

Captures out of network namespaces that it makes and removes, through WebSockets (the package
`websockets`), curl, tshark, the command line, the Unix socket and PCAP-over-IP, and compares with
what it sent. Runs itself with the Python of target/venv (tests/setup.sh makes it). Needs root, ip
and tshark; without them it says so and passes. `--list` names the sections.
"""
import atexit
import contextlib
import fcntl
import glob
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
import threading
import time
import urllib.parse

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(here)
sys.path.insert(0, os.path.join(here, "support"))
venv = os.path.join(root, "target", "venv", "bin", "python3")
prefix = f"pp{os.getpid() % 100000}"
passed, failed, current = 0, 0, ""


def skip(why):
    print(f"SKIPPED packets.py: {why}")
    sys.exit(0)


if os.geteuid() != 0:
    skip("needs root for its network namespaces")
for tool in ("ip", "tshark", "capinfos", "curl"):
    if shutil.which(tool) is None:
        skip(f"{tool} is not installed")
if not os.path.exists(venv):
    skip("target/venv with websockets is not there: tests/setup.sh test makes it")
if "INSIDE" not in os.environ and "--list" not in sys.argv:
    home = f"{prefix}-home"
    if subprocess.run(["ip", "netns", "add", home]).returncode != 0:
        skip("network namespaces cannot be made here")
    try:
        subprocess.run(["ip", "-n", home, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", home, venv, *sys.argv]
        child = subprocess.Popen(inside, env={**os.environ, "INSIDE": home})
        # Whoever ends this wants its namespaces gone, too.
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        code = child.wait()
    finally:
        subprocess.run(["ip", "netns", "del", home])
    sys.exit(code)

from lab import (CLONE_NEWNET, TICKS, Agent, Bare, Capture, Space, comm, entered,  # noqa: E402
                 fetch, ip, ip_json, libc, numbers, pair, send, start_time, wait)
from pcapng import Malformed, Stream, document, flags, option, udp_payload  # noqa: E402

portolan = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
PORT = 7777
sections = {}


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {current}: {what}: {str(detail)[:500]}", flush=True)
    return holds


def section(function):
    sections[function.__name__] = function
    return function


def ask_of(capture):
    """A capture in a few words, for a failed check."""
    if capture.status != 101:
        return f"{capture.status} {capture.body!r}"
    return f"101 {capture.stream().names_of_interfaces()} {capture.code} {capture.reason!r}"


def taken(what, interfaces, **parameters):
    """A capture that must come about, of exactly these interfaces."""
    with Capture(**parameters) as one:
        holds = one.status == 101 and wait(
            lambda: sorted(one.stream().names_of_interfaces()) == sorted(interfaces), 2)
        check(what, holds, f"{ask_of(one)}, expected {sorted(interfaces)}")


def refused(what, statuses, word="", **parameters):
    """A capture that must be refused before the upgrade, with a line for the user."""
    statuses = (statuses,) if isinstance(statuses, int) else statuses
    with Capture(**parameters) as one:
        if not check(what, one.status in statuses, ask_of(one)):
            return
        text = one.body or ""
        check(f"{what}: one helpful line", text.strip() and "\n" not in text.strip() and
              word.lower() in text.lower(), repr(text))


def read_by_tshark(data, *options):
    """What Wireshark makes of a stream: lines of tshark; complaints fail the check."""
    path = os.path.join(folder, "stream.pcapng")
    with open(path, "wb") as file:
        file.write(data)
    done = subprocess.run(["tshark", "-n", "-r", path, *options], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    check("tshark reads the stream without complaint", done.returncode == 0 and not complaints,
          complaints)
    info = subprocess.run(["capinfos", "-M", "-T", "-m", path], capture_output=True, text=True)
    check("so does capinfos", info.returncode == 0 and not info.stderr.strip(), info.stderr)
    return done.stdout.splitlines()


# ---- The decision table ------------------------------------------------------------------------

@section
def table():
    """Who is meant by a target, row by row."""
    process, other = one.sleeper(), two.sleeper()
    inode, elsewhere = one.inode, two.inode
    names = one.up()
    others = two.up()
    a0 = {"network-interfaces": ["a0"]}
    current = {"netns": inode, "pid": process.pid, "starttime": process.started}
    stale = {**current, "starttime": process.started + 1}

    taken("a namespace by its number", names, netns=inode)
    taken("the agent's own by its number", ip_up_here(), netns=os.stat("/proc/self/ns/net").st_ino)
    taken("a current process", ["a0"], container={**current, **a0})
    taken("a current process, all interfaces", names, container=current)
    taken("a current process with a name nobody has", ["a0"],
          container={**current, **a0, "name": "nobody"})
    refused("a start time that is not the process's", (404, 409), container={**stale, **a0})
    refused("a stale process whose name nobody has", (404, 409),
            container={**stale, **a0, "name": "nobody", "type": "docker"})
    by_name = f"sleep({other.pid})"
    taken("a stale process whose name is known", others, container={**stale, "name": by_name})
    taken("a process by name", others, container={"name": by_name, "type": "proc"})
    taken("a process by name, namespace 0", others, container={"netns": 0, "name": by_name})
    taken("a bind mount by name", ["d0"], container={
        "name": bare.path, "type": "bindmount", "network-interfaces": ["d0"]})
    taken("a name with an interface list of its own", ["bb0"], container={
        "name": by_name, "network-interfaces": ["bb0"]})
    refused("a name nobody has", 404, "nobody", container={"name": "nobody"})
    refused("namespace 0 and a name nobody has", 404, container={"netns": 0, "name": "nobody"})
    refused("a name with another prefix", 404, container={"name": by_name, "prefix": "x"})
    taken("a process without start time", ["a0"],
          container={"netns": inode, "pid": process.pid, **a0})
    refused("a process of another namespace, without start time", (404, 409),
            container={"netns": inode, "pid": other.pid})
    with Capture(container={"netns": inode, "pid": other.pid, "starttime": other.started}) as mixed:
        # The process says one thing, the number another: never what only the number says.
        known = mixed.interfaces() if mixed.status == 101 else []
        check("a current process of another namespace", mixed.status in (404, 409) or
              sorted(known) == sorted(others), ask_of(mixed))
    taken("a wrong number, a current process and its name", others, container={
        "netns": 4026000001, "pid": other.pid, "starttime": other.started, "name": by_name})
    taken("a wrong number, a stale process, a known name", others, container={
        "netns": 4026000001, "pid": process.pid, "starttime": 1, "name": by_name})
    refused("a number that nothing has", 404, netns=4026000001)
    refused("the number of a namespace of processes", 404,
            netns=os.stat("/proc/self/ns/pid").st_ino)
    refused("the number of a namespace of mounts", 404, netns=os.stat("/proc/self/ns/mnt").st_ino)

    # A namespace that no file names: only a process keeps it.
    lone = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; exec sleep 600"])
    atexit.register(lone.kill)
    wait(lambda: open(f"/proc/{lone.pid}/comm").read() == "sleep\n")
    lone_inode = os.stat(f"/proc/{lone.pid}/ns/net").st_ino
    taken("a namespace that only a process keeps", ["lo"], netns=lone_inode)
    taken("the same by name", ["lo"], container={"name": f"sleep({lone.pid})"})
    gone = {"netns": lone_inode, "pid": lone.pid, "starttime": start_time(lone.pid)}
    taken("and by process", ["lo"], container=gone)
    lone.kill()
    lone.wait()
    refused("a process that has ended", (404, 409), container=gone)

    # The kernel gives the number of a namespace to the next one.
    for _ in range(10):
        doomed = Space(f"{prefix}-doomed", loopback=True)
        child = doomed.sleeper()
        known = {"netns": doomed.inode, "pid": child.pid, "starttime": child.started}
        child.kill()
        child.wait()
        doomed.remove()
        time.sleep(0.2)  # The kernel clears it away in its own time.
        again = Space(f"{prefix}-again")
        same = wait(lambda: again.inode == known["netns"], 0)
        if same:
            break
        again.remove()
    if same:
        refused("a number that was given to another namespace", (404, 409), container=known)
        taken("that is taken if only the number is known", ["lo"], netns=known["netns"])
    else:
        print("  (the kernel did not give a number twice: that row was not tried)")
    again.remove()
    for child in (process, other):
        child.kill()
        child.wait()


def ip_up_here():
    return {link["ifname"] for link in ip_json("-d", "link") if link["operstate"] != "DOWN"}


@section
def parameters():
    """What is said of a target, and how."""
    inode = one.inode
    names = one.up()
    target = {"netns": inode}

    refused("both container and netns", 400, "mutually exclusive", container=target, netns=inode)
    refused("neither", 400, "required", query="")
    refused("neither, with something else", 400, "required", nif="a0")
    for text in ("abc", "0", "-1", "1.5", "0x10", "", "9223372036854775808", "4026531840x", " 7"):
        refused(f"netns={text!r}", 400, netns=text)
    for text in ("", "{", "[]", "7", '"x"', "null", '{"netns":1}x', '{"netns":1}{"netns":2}',
                 '{"netns":"4026"}', '{"netns":1.5}', '{"netns":true}', '{"netns":[1]}',
                 '{"pid":"1"}', '{"starttime":"1"}', '{"name":7}', '{"prefix":7}', '{"type":7}',
                 '{"netns":%d,"network-interfaces":"a0"}' % inode,
                 '{"netns":%d,"network-interfaces":[7]}' % inode,
                 '{"netns":%d,"network-interfaces":{"a0":1}}' % inode,
                 '{"netns":%d,"cluster":"x"}' % inode,
                 '{"netns":%d,"node-name":1}' % inode,
                 '{"netns":9223372036854775808}', "{'netns':1}", "\0", "{" * 5000,
                 '{"a":' * 5000):
        refused(f"container={text[:40]!r}", (400, 404) if text == "null" else 400,
                query="container=" + urllib.parse.quote(text))
    refused("an empty object", (400, 404), container={})
    refused("an interface that is not there", 404, "nosuch0", netns=inode, nif="nosuch0")
    refused("one that is there and one that is not", 404, "nosuch0", netns=inode, nif="a0/nosuch0")
    refused("an interface that is not there, in the list", 404, "nosuch0",
            container={**target, "network-interfaces": ["a0", "nosuch0"]})
    refused("a filter that is none", 400, "octet", netns=inode, filter="tcp prot 80")
    refused("a filter that names a host", 400, netns=inode, filter="host example.org")
    refused("a gateway", 400, "gateway", netns=inode, filter="gateway 10.0.0.1")

    taken("nif=any", names, netns=inode, nif="any")
    taken("nif=all", names, netns=inode, nif="all")
    taken("an empty nif", names, netns=inode, nif="")
    taken("a slash between", ["a0", "b0"], netns=inode, nif="a0/b0")
    taken("a comma in a name", ["x,1", "b0"], netns=inode, nif="x,1/b0")
    for some in (None, [], [""]):
        taken(f"the list {some}", names, container={**target, "network-interfaces": some})
    taken("a list", ["b0", "x,1"], container={**target, "network-interfaces": ["b0", "x,1"]})
    taken("nif goes before the list", ["a0"], nif="a0",
          container={**target, "network-interfaces": ["b0"]})
    taken("nif=any does not", ["b0"], nif="any",
          container={**target, "network-interfaces": ["b0"]})
    taken("an interface named twice is one", ["a0"], netns=inode, nif="a0/a0")
    taken("one that is down, if it is named", ["down0"], netns=inode, nif="down0")
    taken("the first value counts", ["a0"], query=f"netns={inode}&nif=a0&nif=b0&netns=1")
    taken("keys in any case", ["a0"], query="container=" + urllib.parse.quote(
        json.dumps({"NetNS": inode, "Network-Interfaces": ["a0"], "unknown": {"deep": [1]}})))
    taken("escapes and blanks as plus", ["a0"],
          query=f"netns={inode}&filter=udp+port+7777+and%20ip&nif=a0")
    taken("an unknown parameter is passed over", ["a0"], netns=inode, nif="a0", colour="blue")
    container = json.dumps({**target, "network-interfaces": ["a0"]})
    taken("by header", ["a0"], query="", headers=[("Clustershark-Container", container)])
    taken("headers go before the query", ["b0"], nif="a0", container={"netns": 1},
          headers=[("clustershark-container", container), ("CLUSTERSHARK-NIF", "b0")])
    refused("a filter by header", 400, "octet", netns=inode, nif="a0", filter="udp",
            headers=[("Clustershark-Filter", "tcp prot 80")])
    many = json.dumps({**target, "network-interfaces": ["a0"], "labels": {
        f"key{n}": "v" * 40 for n in range(500)}})
    taken(f"a head of {2 * len(many) >> 10} KiB", ["a0"], query="container=" +
          urllib.parse.quote(many, safe=''), headers=[("Clustershark-Container", many)])
    check("nothing of it is left", wait(lambda: not agent_sessions()), agent_sessions())


def agent_sessions():
    return agent.ask(command="packet-sessions")["data"]["rows"]


def is_open():
    """Whether a session has a ring: packets before that are nobody's."""
    return any(row["state"] == "open" for row in agent_sessions())


# ---- The stream --------------------------------------------------------------------------------

@section
def stream():
    """What is in it: order, stamps, directions, statistics, the comment."""
    sender = two_sender()
    before = time.time_ns()
    capture = Capture(container={"netns": one.inode, "network-interfaces": ["a0"],
                                 "name": "we: #1", "type": "docker", "node-name": "12",
                                 "cluster": {"uid": "yes"}}, filter=f"udp port {PORT}")
    check("it begins at once without traffic", capture.interfaces() == ["a0"], ask_of(capture))
    check("with nothing but its header", not capture.stream().packets)
    head = capture.stream()
    text = head.comments()
    check("one comment, and first", len(text) == 1 and head.blocks[0].options[0][0] == 1,
          head.blocks[0].options)
    with contextlib.suppress(Malformed):
        read = document(text[0])
    check("it is the document of the target", read == {
        "container-name": "we: #1", "container-type": "docker", "node-name": "12",
        "cluster": {"uid": "yes"}, "capture-filter": f"udp port {PORT}"}, text)
    codes = {code for code, _ in head.blocks[0].options}
    check("hardware, system and program are named", {2, 3, 4} <= codes, codes)
    a0 = head.interfaces[0]
    check("Ethernet, nanoseconds, libpcap's snap length", a0.link == 1 and a0.snaplen == 262144
          and option(a0, 9) == b"\x09", a0)
    check("the filter stands with the interface",
          option(a0, 11) == b"\0" + f"udp port {PORT}".encode(), option(a0, 11))
    mac = bytes.fromhex(one.links()["a0"]["address"].replace(":", ""))
    check("so does its address", option(a0, 6) in (None, mac), option(a0, 6))

    send(sender, ("10.1.0.1", PORT), 1000)
    check("every packet arrives", capture.wait_udp(PORT, 1000))
    got = capture.udp(PORT)
    check("in order, and once", numbers(p for _, p in got) == list(range(1000)), len(got))
    packets = capture.stream().packets
    stamps = [packet.nanos for packet in packets]
    check("stamps are of now and rise", stamps == sorted(stamps) and
          before < stamps[0] and stamps[-1] < time.time_ns())
    check("in nanoseconds", any(stamp % 1000 for stamp in stamps))
    check("they came in for this machine", {flags(packet) & 0x1F for packet in packets} == {5},
          {hex(flags(packet)) for packet in packets})
    answer = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
    send(answer, ("10.1.0.2", PORT), 10)
    check("what goes out, too", capture.wait_udp(PORT, 1010))
    check("with its direction", all(flags(packet) & 3 == 2
                                    for packet in capture.stream().packets[1000:]))
    answer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.sendto(b"bcast", ("10.1.0.255", PORT))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.2"))
    sender.sendto(b"mcast", ("239.1.2.3", PORT))
    raw = two.raw("pa0")
    raw.send(ethernet(b"\2\2\2\2\2\2", udp_packet(b"other")))
    check("broadcast, multicast and foreign frames", capture.wait_udp(PORT, 1013),
          len(capture.udp(PORT)))
    kinds = [flags(packet) >> 2 & 7 for packet in capture.stream().packets[1010:]]
    check("are told apart", kinds == [3, 2, 4], kinds)
    capture.close()
    check("the client's close is answered", (capture.code, capture.reason) == (1000, "ciao"),
          (capture.code, capture.reason))
    check("messages are binary", capture.kinds == {bytes}, capture.kinds)
    lines = read_by_tshark(capture.data, "-T", "fields", "-e", "frame.interface_name", "-e",
                           "udp.dstport", "-Y", "udp")
    check("tshark counts the same", lines.count(f"a0\t{PORT}") == 1013, len(lines))

    with Capture(netns=one.inode, nif="a0", filter=f"udp port {PORT}", count=5) as few:
        few.interfaces()
        send(sender, ("10.1.0.1", PORT), 20)
        check("count= ends it", wait(lambda: few.ended), ask_of(few))
        check("with 1000 and a reason", few.code == 1000 and few.reason, (few.code, few.reason))
        whole = few.stream()
        last = whole.last_statistics()
        check("whole, statistics last", whole.rest == 0 and len(whole.packets) == 5 and
              type(whole.blocks[-1]).__name__ == "Statistics", whole.blocks[-1])
        check("which tell received, dropped, delivered", last.get(4, 0) >= 5 and
              last.get(7) == 0 and last.get(8) == 5, last)
        end = option(whole.statistics[-1], 3)
        check("and start and end", option(whole.statistics[-1], 2) and end, whole.statistics[-1])
    two_names = Capture(container={"netns": one.inode, "name": "", "cluster": {}}, nif="a0",
                        chaste="false")
    with two_names:
        two_names.interfaces()
        comment = two_names.stream().comments()[0]
        check("a bare document", "container-name: \"\"\ncontainer-type: \"\"\nnode-name: \"\"\n"
              "cluster: {}\nno-promiscuous-mode: true\n" in comment, comment)


def two_sender():
    return two.socket(socket.AF_INET, socket.SOCK_DGRAM)


def ethernet(destination, payload, *tags, kind=0x0800):
    frame = destination + b"\2\0\0\0\0\1"
    for tpid, tci in tags:
        frame += struct.pack(">HH", tpid, tci)
    return frame + struct.pack(">H", kind) + payload


def udp_packet(payload, port=PORT, source=b"\x0a\1\0\2", to=b"\x0a\1\0\1"):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0) + source + to
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", 0xFFFF - ((total & 0xFFFF) + (total >> 16))) + head[12:]
    return head + struct.pack(">HHHH", 999, port, 8 + len(payload), 0) + payload


@section
def tags():
    """VLAN tags, which the kernel takes off, are put back; filters see them."""
    raw = two.raw("pa0")
    to = b"\xff" * 6
    frames = [ethernet(to, udp_packet(b"none")),
              ethernet(to, udp_packet(b"five"), (0x8100, 0x6005)),
              ethernet(to, udp_packet(b"six"), (0x8100, 6)),
              ethernet(to, udp_packet(b"two"), (0x88A8, 100), (0x8100, 5)),
              ethernet(to, udp_packet(b"zero"), (0x8100, 0x2000))]
    everywhere = f"(udp port {PORT}) or (vlan and (udp port {PORT} or vlan))"
    wanted = {"": frames, "vlan": frames[1:], "vlan 5": frames[1:2], "vlan 6": frames[2:3],
              "vlan 100 and vlan 5": frames[3:4], "not vlan": frames[:1], "vlan 7": [],
              f"vlan 5 and udp port {PORT}": frames[1:2], everywhere: frames}
    for where, space, interface in (("received", one, "a0"), ("sent", two, "pa0")):
        captures = {text: Capture(netns=space.inode, nif=interface, filter=text)
                    for text in list(wanted)[:8]}
        for capture in captures.values():
            capture.interfaces()
        for frame in frames:
            raw.send(frame)
        for text, capture in captures.items():
            def ours():
                return [packet.data for packet in capture.stream().packets
                        if packet.data[6:12] == b"\2\0\0\0\0\1"]
            wait(lambda: len(ours()) >= len(wanted[text]), 3)
            time.sleep(0.1)
            check(f"{where}, filter {text!r}", ours() == wanted[text],
                  [one.hex()[24:40] for one in ours()])
            lengths = [(len(p.data), p.length) for p in capture.stream().packets
                       if p.data[6:12] == b"\2\0\0\0\0\1"]
            check(f"{where}: lengths are those of the frame",
                  lengths == [(len(frame), len(frame)) for frame in wanted[text]], lengths)
            capture.close()
        lines = read_by_tshark(captures[""].data, "-Y", "vlan", "-T", "fields", "-e", "vlan.id")
        check(f"{where}: tshark sees the tags", lines == ["5", "6", "5", "0"], lines)


@section
def lengths():
    """Snap length; large packets."""
    sender = two_sender()
    with Capture(netns=one.inode, nif="a0", filter=f"udp port {PORT}", snaplen=60) as short:
        short.interfaces()
        send(sender, ("10.1.0.1", PORT), 10, size=1000)
        wait(lambda: len(short.stream().packets) >= 10)
        packets = short.stream().packets
        check("cut to the snap length", {len(p.data) for p in packets} == {60} and
              {p.length for p in packets} == {1042}, packets[:1])
        check("which the interface tells", short.stream().interfaces[0].snaplen == 60)
    for wrong in ("-1", "x", "262145"):
        refused(f"snaplen={wrong}", 400, "snaplen", netns=one.inode, nif="a0", snaplen=wrong)
    # One send of 60 000 octets crosses a pair as one frame (segmentation is left to the card).
    with Capture(netns=one.inode, nif="a0", filter="tcp port 7700") as large:
        large.interfaces()
        server = one.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("10.1.0.1", 7700))
        server.listen()
        client = two.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(("10.1.0.1", 7700))
        took, _ = server.accept()
        sending = threading.Thread(target=client.sendall, args=(bytes(1 << 20),))
        sending.start()
        took.settimeout(10)
        left = 1 << 20
        while left > 0:
            left -= len(took.recv(1 << 20))
        sending.join()
        for stream in (client, took, server):
            stream.close()

        def octets():
            total = 0
            for packet in large.stream().packets:
                data = packet.data
                if data[36:38] == struct.pack(">H", 7700):
                    total += packet.length - 34 - 4 * (data[46] >> 4)
            return total
        check("a megabyte of TCP is there, whole", wait(lambda: octets() >= 1 << 20), octets())
        check("nothing of it was cut",
              all(len(p.data) == p.length for p in large.stream().packets))


@section
def promiscuous():
    """Cards are asked for foreign frames while a capture lasts, unless it is chaste."""
    def level():
        return one.links()["a0"]["promiscuity"]
    base = level()
    first = Capture(netns=one.inode, nif="a0")
    check("a capture asks", wait(lambda: level() == base + 1), level())
    check("without the administrator's flag", "PROMISC" not in one.links()["a0"]["flags"]
          or one.links()["a0"]["promiscuity"] > 0)
    second = Capture(netns=one.inode, nif="a0")
    check("so does a second", wait(lambda: level() == base + 2), level())
    for value in ("", "false", "1"):
        with Capture(netns=one.inode, nif="a0", chaste=value) as chaste:
            chaste.interfaces()
            check(f"chaste={value!r} does not", level() == base + 2, level())
            check("and says so", "no-promiscuous-mode: true" in chaste.stream().comments()[0])
    with Capture(netns=one.inode, nif="a0", headers=[("Clustershark-Chaste", "")]) as chaste:
        chaste.interfaces()
        check("nor with the empty header", level() == base + 2, level())
    second.close()
    check("it stops with the capture", wait(lambda: level() == base + 1), level())
    first.close()
    check("with the last one, too", wait(lambda: level() == base), level())


@section
def filters():
    """The filter holds for every interface of a capture."""
    pa, pb = two.raw("pa0"), two.raw("pb0")
    with Capture(netns=one.inode, nif="a0/b0", filter="icmp") as both:
        both.interfaces()
        icmp = struct.pack(">BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 1, 0) + b"\x0a\1\0\2\x0a\1\0\1" + \
            b"\x08\0\xf7\xff\0\0\0\0"
        for raw in (pa, pb):
            for _ in range(5):
                raw.send(ethernet(b"\xff" * 6, udp_packet(b"no")))
                raw.send(ethernet(b"\xff" * 6, icmp))
        wait(lambda: len(both.stream().packets) >= 10)
        time.sleep(0.2)
        packets = both.stream().packets
        per = [sum(p.interface == n for p in packets) for n in (0, 1)]
        check("ICMP from both, and nothing else", all(p.data[23] == 1 for p in packets) and
              min(per) >= 5, (per, [p.data[23] for p in packets]))
    with Capture(netns=one.inode, filter=f"udp port {PORT}") as every:
        names = every.interfaces()
        own = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
        send(own, ("127.0.0.1", PORT), 3)
        send(two_sender(), ("10.1.0.1", PORT), 3)
        send(two_sender(), ("10.2.0.1", PORT), 3)
        every.wait_udp(PORT, 9)
        time.sleep(0.2)
        seen = [name for name, _ in every.udp(PORT)]
        check("all interfaces, each packet once", sorted(seen) == sorted(
            ["lo"] * 3 + ["a0"] * 3 + ["b0"] * 3), (seen, names))


@section
def loopback():
    """Packets over lo are there once; a capture never sees streams of the agent."""
    with Capture(netns=own_inode, nif="lo") as first, Capture(netns=own_inode) as second, \
            Capture(netns=own_inode, nif="lo", self_=1) as selfish:
        for capture in (first, second, selfish):
            capture.interfaces()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        send(sender, ("127.0.0.1", PORT), 100)
        for name, capture in (("one", first), ("the other", second)):
            capture.wait_udp(PORT, 100)
            time.sleep(0.2)
            got = numbers(p for _, p in capture.udp(PORT))
            check(f"once in {name}", got == list(range(100)), got[:10])
        time.sleep(1)
        for name, capture in (("one", first), ("the other", second)):
            fed = [p for p in capture.stream().packets if p.data[23:24] == b"\x06" and
                   struct.pack(">H", 5001) in (p.data[34:36], p.data[36:38])]
            check(f"{name} does not see streams of the agent", not fed, len(fed))
        fed = [p for p in selfish.stream().packets if p.data[23:24] == b"\x06"]
        check("unless it is asked to", fed)
        read_by_tshark(first.data)
    # Once more with a reader over curl.
    reader = curl_stream(f"netns={own_inode}&nif=lo")
    with Capture(netns=own_inode, nif="lo") as watcher:
        watcher.interfaces()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        send(sender, ("127.0.0.1", PORT), 50)
        watcher.wait_udp(PORT, 50)
        time.sleep(1)
        fed = [p for p in watcher.stream().packets if p.data[23:24] == b"\x06"]
        check("nor does a WebSocket see a download", not fed, len(fed))
    reader.terminate()


def curl_stream(query, path="/capture.pcapng", stdout=subprocess.DEVNULL):
    child = subprocess.Popen(["curl", "-sN", "--noproxy", "*",
                              f"http://127.0.0.1:5001{path}?{query}"], stdout=stdout)
    atexit.register(child.kill)
    return child


@section
def promptness():
    """A lone packet is with the client within 100 ms."""
    sender = two_sender()
    delays = []
    with Capture(netns=one.inode, nif="a0", filter=f"udp port {PORT}") as capture:
        capture.interfaces()
        for number in range(25):
            time.sleep(0.03 + 0.013 * (number % 7))
            have = len(capture.arrived)
            since = time.monotonic()
            send(sender, ("10.1.0.1", PORT), 1, first=number)
            wait(lambda: len(capture.arrived) > have, 3, step=0.001)
            delays.append((capture.arrived[-1][0] - since) * 1000)
    check("median", statistics.median(delays) <= 100, delays)
    check("nine of ten", sorted(delays)[22] <= 140, delays)
    print(f"  a lone packet takes {statistics.median(delays):.1f} ms in the median, "
          f"{max(delays):.1f} at worst")


@section
def losses():
    """A reader that stalls costs a bounded buffer, and what was lost stands in the stream."""
    sender = two_sender()
    rss = agent.rss()
    stalled = Bare(query=f"netns={one.inode}&nif=a0&filter=udp+dst+port+{PORT}", buffer=4096)
    if not check("a stalled reader connects", stalled.status == 101, stalled.status):
        return
    sent = 0
    while sent < 120_000:
        send(sender, ("10.1.0.1", PORT), 5_000, size=1_000, first=sent)
        sent += 5_000
    time.sleep(0.5)
    grown = agent.rss() - rss
    check("its buffer is bounded", grown <= 2_048, f"{grown} KiB more")
    data = bytearray()
    stalled.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    stalled.socket.settimeout(3)

    def drain():
        with contextlib.suppress(TimeoutError):
            while True:
                first, payload = stalled.frame()
                if first == 0x82:
                    data.extend(payload)
        return Stream(bytes(data))
    end = time.monotonic() + 25
    while True:
        held = drain()
        told = held.last_statistics()
        # The last statistics follow the last packets within seconds.
        if told.get(8) == len(held.packets) or time.monotonic() > end:
            break
    got = len(list(held.udp(PORT)))
    check("something was lost, or this proves nothing", got < sent, got)
    check("the statistics count all that came", told.get(4) == sent, (told, got, sent))
    check("and what was lost", told.get(7) == sent - got and told.get(8) == got,
          (told, got, sent))
    # A packet after the gap brings the losses that no packet has told yet.
    send(sender, ("10.1.0.1", PORT), 1, first=sent)
    held = drain()
    check("packets tell the gaps before them", held.drops_told() == sent - got,
          (held.drops_told(), sent - got))
    told_at = [number for number, packet in enumerate(held.packets) if option(packet, 4)]
    check("where they are", told_at and told_at[0] > 0, told_at[:5])
    seen = numbers(p for _, p in held.udp(PORT))
    check("what is there is in order", seen == sorted(set(seen)), len(seen))
    stalled.send(0x88, struct.pack(">H", 1000) + b"ciao")
    with contextlib.suppress(OSError, EOFError):
        check("it still closes well", stalled.until_close()[1:] == (1000, "ciao"))
    read_by_tshark(bytes(data))


# ---- What changes meanwhile --------------------------------------------------------------------

@section
def hotplug():
    """Interfaces come, go, change their names and lose their link."""
    space = Space(f"{prefix}-plug", loopback=False)
    far = Space(f"{prefix}-far", loopback=False)
    pair(space, "p0", far, "q0", 21)
    pair(space, "p1", far, "q1", 22)
    sender = far.socket(socket.AF_INET, socket.SOCK_DGRAM)
    every = Capture(netns=space.inode, filter=f"udp port {PORT}")
    check("those that are up", sorted(every.interfaces()) == ["p0", "p1"], ask_of(every))
    named = Capture(netns=space.inode, nif="p0/p1", filter=f"udp port {PORT}")
    named.interfaces()

    pair(space, "p2", far, "q2", 23)
    check("a new one joins", wait(lambda: "p2" in every.stream().names_of_interfaces(), 5),
          ask_of(every))

    def heard(host, name, capture=every):
        have = len([n for n, _ in capture.udp(PORT) if n == name])

        def more():
            send(sender, (host, PORT), 1)
            return len([n for n, _ in capture.udp(PORT) if n == name]) > have
        return wait(more, 5, step=0.05)
    check("and is heard", heard("10.23.0.1", "p2"), ask_of(every))
    check("not by one that named others", named.stream().names_of_interfaces() == ["p0", "p1"])

    space.ip("link", "set", "p1", "down")
    check("another goes on while one is down", heard("10.21.0.1", "p0"))
    space.ip("link", "set", "p1", "up")
    check("one that was down is heard again", heard("10.22.0.1", "p1"), ask_of(every))
    check("also by one that named it", heard("10.22.0.1", "p1", named), ask_of(named))
    before = len(every.stream().interfaces)
    check("it is the same interface", before == 3, every.stream().names_of_interfaces())

    far.ip("link", "set", "q1", "down")
    far.ip("link", "set", "q1", "up")
    check("so it is when the other end was down", heard("10.22.0.1", "p1"), ask_of(every))

    space.ip("link", "set", "p2", "down")
    space.ip("link", "set", "p2", "name", "new2")
    space.ip("link", "set", "new2", "up")
    check("one with a new name goes on", wait(lambda: heard("10.23.0.1", "p2") or
          heard("10.23.0.1", "new2"), 5), ask_of(every))

    space.ip("link", "del", "p2" if "p2" in space.links() else "new2")
    check("the rest goes on after one went", heard("10.21.0.1", "p0"), ask_of(every))
    gone = next(n for n, name in enumerate(every.stream().names_of_interfaces()) if name == "p2")
    check("the one that went has its statistics",
          wait(lambda: every.stream().last_statistics(gone).get(4), 5),
          every.stream().statistics)
    space.ip("link", "del", "p1")
    check("and with a list of names", heard("10.21.0.1", "p0", named), ask_of(named))
    space.ip("link", "del", "p0")
    for what, capture in (("named", named), ("all", every)):
        if what == "all":
            # One of all interfaces may wait for others to come; it ends with the namespace.
            if not wait(lambda: capture.ended, 3):
                pair(space, "p9", far, "q9", 24)
                check("or waits for others", heard("10.24.0.1", "p9"), ask_of(capture))
                space.remove()
        check(f"{what}: ends with the last one", wait(lambda: capture.ended, 5), ask_of(capture))
        check(f"{what}: and says why", capture.code in (1000, 1001) and capture.reason,
              (capture.code, capture.reason))
        held = capture.stream()
        check(f"{what}: nothing is torn", held.rest == 0 and
              type(held.blocks[-1]).__name__ == "Statistics", held.rest)
        read_by_tshark(capture.data)
    space.remove()
    far.remove()
    check("no session is left", wait(lambda: not agent_sessions()), agent_sessions())


@section
def removal():
    """A namespace that is deleted ends its captures, and is not held back by them."""
    space = Space(f"{prefix}-gone")
    ip("link", "add", "vgone", "type", "veth", "peer", "name", "e0", "netns", space.name)
    ip("link", "set", "vgone", "up")
    space.ip("link", "set", "e0", "up")
    captures = [Capture(netns=space.inode), Capture(netns=space.inode, nif="e0"),
                Capture(netns=space.inode, nif="lo/e0")]
    for capture in captures:
        capture.interfaces()
    space.remove()
    since = time.monotonic()
    for capture in captures:
        check("a capture of it ends", wait(lambda: capture.ended, 6), ask_of(capture))
        check("with 1001 and why", capture.code == 1001 and capture.reason,
              (capture.code, capture.reason))
    check("within five seconds", time.monotonic() - since < 5.5, time.monotonic() - since)
    check("the other end of its pair is gone", wait(
        lambda: "vgone" not in {link["ifname"] for link in ip_json("link")}, 5))
    for capture in captures:
        check("its stream is whole", capture.stream().rest == 0)

    # A process keeps it: the capture goes on.
    space = Space(f"{prefix}-kept")
    child = space.sleeper()
    inode = space.inode
    with Capture(netns=inode, nif="lo", filter=f"udp port {PORT}") as capture:
        capture.interfaces()
        sender = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ip("netns", "del", space.name)
        time.sleep(2)
        send(sender, ("127.0.0.1", PORT), 3)
        check("one that a process keeps goes on", capture.wait_udp(PORT, 3), ask_of(capture))
        sender.close()
        child.kill()
        child.wait()
        check("until that ends", wait(lambda: capture.ended, 8), ask_of(capture))


@section
def resources():
    """Clients that vanish leave nothing behind; as many at once as allowed, and no more."""
    settle = wait(lambda: not agent_sessions())
    check("a clean start", settle, agent_sessions())
    target = f"netns={one.inode}&nif=a0/b0&filter=udp+port+{PORT}"
    Bare(query=target).reset()
    wait(lambda: not agent_sessions(), 10)
    fetch("/version")
    base = wait(lambda: stable(agent.holds), 10)
    for how in ("reset", "shutdown", "close"):
        one_client = Bare(query=target)
        check("it is connected", one_client.status == 101, one_client.status)
        wait(lambda: agent.holds()[2] > base[2], 3)
        if how == "reset":
            one_client.reset()
        elif how == "close":
            one_client.socket.close()
        else:
            one_client.socket.shutdown(socket.SHUT_RDWR)
            one_client.socket.close()
        check(f"after a {how} nothing is left", wait(lambda: agent.holds() == base, 8),
              (base, agent.holds()))
    # One that goes away while it is being opened.
    for _ in range(10):
        head = (f"GET /capture?{target} HTTP/1.1\r\nHost: 127.0.0.1:5001\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        with socket.create_connection(("127.0.0.1", 5001)) as hasty:
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            hasty.sendall(head.encode())
    check("nor after ten that did not wait", wait(lambda: agent.holds() == base, 8),
          (base, agent.holds()))

    rss = agent.rss()
    many = [Capture(query=target) for _ in range(8)]
    check("eight at once", [capture.status for capture in many] == [101] * 8,
          [ask_of(capture) for capture in many])
    ninth = Capture(query=target)
    check("a ninth is refused", ninth.status == 503, ask_of(ninth))
    retry = {name.lower(): value for name, value in ninth.headers.items()}.get("retry-after", "")
    check("with a time to try again", retry.isdigit() and int(retry) > 0, ninth.headers)
    check("and a line that says why", "session" in (ninth.body or ""), ninth.body)
    sender = two_sender()
    send(sender, ("10.1.0.1", PORT), 2000)
    send(sender, ("10.2.0.1", PORT), 2000)
    for capture in many:
        capture.wait_udp(PORT, 4000)
        got = capture.udp(PORT)
        check("each has every packet", len(got) == 4000, len(got))
    grown = agent.rss() - rss
    check("eight cost at most a mebibyte each", grown <= 8 * 1024, f"{grown} KiB")
    print(f"  eight sessions: {grown} KiB besides their rings")
    for capture in many:
        capture.close()
    check("all is given back", wait(lambda: agent.holds() == base, 8), (base, agent.holds()))
    check("there is room again", Capture(query=target).close().code == 1000)

    wait(lambda: agent.holds() == base, 8)
    rss = agent.rss()
    for _ in range(50):
        capture = Capture(query=target)
        if capture.status != 101 or not capture.interfaces():
            check("one of fifty in a row", False, ask_of(capture))
            break
        capture.close()
    check("fifty in a row leave nothing", wait(lambda: agent.holds() == base, 8),
          (base, agent.holds()))
    check("nor take memory", agent.rss() - rss <= 512, f"{agent.rss() - rss} KiB")


def stable(look):
    first = look()
    time.sleep(0.3)
    return first if look() == first else None


# ---- Clients -----------------------------------------------------------------------------------

@section
def web():
    """Browsers, rebinding, and what is said to those who come without an upgrade."""
    inode = one.inode
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "file://",
                   "https://127.0.0.1:5001.evil.example", "http://localhost.evil.example:5001"):
        refused(f"a page of {origin}", 403, netns=inode, nif="a0", origin=origin)
    taken("the agent's own page", ["a0"], netns=inode, nif="a0", origin="http://127.0.0.1:5001")
    for host in ("evil.example:5001", "evil.example"):
        refused(f"a name that was made to point here: {host}", (421, 403), netns=inode, nif="a0",
                host=host, origin=f"http://{host}")
        refused(f"without Origin, too: {host}", (421, 403), netns=inode, nif="a0", host=host)
        status, _, _ = fetch("/version", headers=[("Host", host)])
        check(f"/version, too: {host}", status in (421, 403), status)
        status, _, _ = fetch("/mobyshark", headers=[("Host", host)])
        check(f"/mobyshark, too: {host}", status in (421, 403), status)
        status, _, _ = fetch(f"/capture.pcapng?netns={inode}&count=1", headers=[("Host", host)])
        check(f"/capture.pcapng, too: {host}", status in (421, 403), status)
    taken("localhost by name", ["a0"], netns=inode, nif="a0", host="localhost:5001")
    for path in ("/capture", f"/capture?netns={inode}"):
        status, headers, body = fetch(path)
        check(f"plain GET {path}", status in (400, 426), status)
        check("is told what would be better", headers.get("sec-websocket-version") == "13" and
              b"WebSocket" in body and headers.get("upgrade", "").lower() == "websocket",
              (headers, body))
        check("with an example", b"capture" in body and len(body) > 40, body)
    upgrade = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"),
               ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    status, headers, _ = fetch(f"/capture?netns={inode}", headers=[
        *upgrade, ("Sec-WebSocket-Version", "8")])
    check("another version", status in (400, 426) and
          headers.get("sec-websocket-version") == "13", (status, headers))
    status, headers, _ = fetch(f"/capture?netns={inode}", headers=[
        *upgrade[:2], ("Sec-WebSocket-Version", "13")])
    check("no key", status == 400, status)
    status, _, _ = fetch(f"/capture?netns={inode}", method="POST", headers=[
        *upgrade, ("Sec-WebSocket-Version", "13"), ("Content-Length", "0")])
    check("another method", status == 405, status)
    status, headers, body = fetch("/version")
    version = json.loads(body)
    check("/version", status == 200 and headers["content-type"].startswith("application/json") and
          set(version) == {"name", "version"} and
          re.fullmatch(r"\d+\.\d+\.\d+([-+].*)?", version["version"]) and
          not re.search(r"\d", version["name"]), (headers, body))
    status, headers, body = fetch("/version", method="HEAD")
    check("HEAD of it", status == 200 and body == b"", (status, body))
    for path in ("/nosuch", "/capturex", "/capture/", "/discover", "/discover/nosuch"):
        check(f"{path} is not there", fetch(path)[0] == 404, fetch(path)[0])
    bare_client = Bare(head="GET /capture?netns=%d&nif=a0 HTTP/1.1\r\nhOsT: 127.0.0.1:5001\r\n"
                       "sec-websocket-protocol: chat\r\nUPGRADE: websocket\r\n"
                       "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                       "connection: keep-alive, uPGRADE\r\nSec-Websocket-Version: 13\r\n"
                       "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % inode)
    check("any spelling and order", bare_client.status == 101, bare_client.status)
    check("the key is answered", bare_client.fields.get("sec-websocket-accept") ==
          "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", bare_client.fields)
    check("neither protocol nor extension", not {"sec-websocket-protocol",
          "sec-websocket-extensions"} & set(bare_client.fields), bare_client.fields)
    bare_client.reset()
    status, _, _ = fetch("/capture?netns=" + "1" * 300_000)
    check("too long a head", status in (414, 431), status)


@section
def csharg():
    """The request of csharg, header for header, and how it says farewell."""
    target = json.dumps({"name": "n", "type": "docker", "netns": one.inode,
                         "network-interfaces": ["a0", "b0"], "prefix": "", "starttime": 0, "pid": 0},
                        separators=(",", ":"))
    escaped = urllib.parse.quote_plus(target)
    head = (f"GET /capture?chaste=&container={escaped}&filter=udp+port+{PORT}&nif=a0%2Fb0 HTTP/1.1\r\n"
            "Host: 127.0.0.1:5001\r\nUser-Agent: Go-http-client/1.1\r\nClustershark-Chaste: \r\n"
            f"Clustershark-Container: {target}\r\nClustershark-Filter: udp port {PORT}\r\n"
            "Clustershark-Nif: a0/b0\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n"
            "Upgrade: websocket\r\n\r\n")
    client = Bare(head=head)
    check("it is upgraded", client.status == 101, (client.status, client.rest))
    check("and answered", client.fields.get("sec-websocket-accept") ==
          "HSmrc0sMlYUkAGmm5OPpG2HaGWk=", client.fields)
    first, payload = client.frame()
    check("a binary message", first == 0x82, hex(first))
    data = bytearray(payload)
    sender = two_sender()
    send(sender, ("10.1.0.1", PORT), 10)
    send(sender, ("10.2.0.1", PORT), 10)
    while len(list(Stream(bytes(data)).udp(PORT))) < 20:
        first, payload = client.frame()
        check("whole blocks in each message", Stream_rest(payload) == 0, len(payload))
        data += payload
    held = Stream(bytes(data))
    check("both interfaces", held.names_of_interfaces() == ["a0", "b0"])
    check("the document", document(held.comments()[0]) == {
        "container-name": "n", "container-type": "docker", "node-name": "",
        "capture-filter": f"udp port {PORT}", "no-promiscuous-mode": True}, held.comments())
    client.send(0x89, b"hello")
    first, payload = client.frame()
    check("a ping is answered", (first, payload) == (0x8A, b"hello"), (first, payload))
    client.send(0x82, b"data nobody wants")
    client.send(0x81, b"nor text")
    client.send(0x88, struct.pack(">H", 1000) + b"ciao")
    since = time.monotonic()
    _, code, reason = client.until_close()
    check("its farewell is answered", (code, reason) == (1000, "ciao"), (code, reason))
    check("and the connection closed", client.socket.recv(1) == b"" and
          time.monotonic() - since < 3, time.monotonic() - since)

    for what, first, payload, masked in (
            ("unmasked", 0x89, b"x", False), ("a reserved bit", 0xC9, b"", True),
            ("a fragmented ping", 0x09, b"", True), ("an unknown kind", 0x83, b"", True)):
        rude = Bare(query=f"netns={one.inode}&nif=a0&filter=udp+port+1")
        rude.send(first, payload, masked)
        try:
            code = rude.until_close()[1]
        except EOFError:
            code = None
        check(f"{what} ends the connection with 1002", code == 1002, code)
    rude = Bare(query=f"netns={one.inode}&nif=a0&filter=udp+port+1")
    rude.send(0x88, struct.pack(">H", 1006) + b"never")
    try:
        code = rude.until_close()[1]
    except EOFError:
        code = None
    check("a close code that is never sent is not sent back", code in (1002, None), code)

    # What it asks first.
    status, headers, body = fetch("/discover/mobyshark", headers=[
        ("User-Agent", "Go-http-client/1.1"), ("Accept-Encoding", "gzip")])
    check("its discovery is answered", status == 200 and "gzip" not in
          headers.get("content-encoding", "") and json.loads(body)["containers"], status)
    found = next(c for c in json.loads(body)["containers"] if c["netns"] == bare.inode)
    with Capture(container=found, headers=[("Clustershark-Container", json.dumps(found))]) as back:
        check("what it finds can be captured", back.status == 101 and
              sorted(back.interfaces()) == sorted(found["network-interfaces"]), ask_of(back))


def Stream_rest(payload):
    from pcapng import blocks
    return blocks(payload)[1]


# ---- Other doors -------------------------------------------------------------------------------

@section
def downloads():
    """curl into tshark; the same parameters as the WebSocket, and more."""
    sender = two_sender()
    base = f"netns={one.inode}&nif=a0&filter=udp+port+{PORT}"
    curl = curl_stream(f"{base}&count=20", stdout=subprocess.PIPE)
    tshark = subprocess.Popen(["tshark", "-n", "-l", "-r", "-", "-T", "fields", "-e",
                               "frame.interface_name", "-e", "udp.dstport"], stdin=curl.stdout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    curl.stdout.close()
    keep_sending(sender, lambda: tshark.poll() is not None)
    out, complaint = tshark.communicate(timeout=10)
    check("curl | tshark -r -", out.splitlines() == [f"a0\t{PORT}"] * 20, (out[:200], complaint))
    check("without complaint", "appears" not in complaint and "cut short" not in complaint,
          complaint)

    status, headers, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&count=3"))
    check("a download ends by itself", status == 200 and len(Stream(body).packets) == 3, status)
    check("and is whole", Stream(body).rest == 0)
    check("with its type", headers["content-type"] in (
        "application/x-pcapng", "application/vnd.tcpdump.pcap"), headers)
    check("and a name for the file", re.search(r'filename="?[\w.,-]+\.pcapng"?',
                                               headers.get("content-disposition", "")), headers)
    for query in ("format=pcap", None):
        path = f"/capture.pcapng?{base}&count=3&format=pcap" if query else \
            f"/capture.pcap?{base}&count=3"
        status, headers, body = with_traffic(lambda: fetch(path))
        check(f"{path.split('?')[0]} format=pcap", status == 200 and
              body[:4] in (b"\x4d\x3c\xb2\xa1", b"\xd4\xc3\xb2\xa1"), (status, body[:30]))
        lines = read_by_tshark(body, "-T", "fields", "-e", "udp.dstport")
        check("tshark reads it", lines == [str(PORT)] * 3, lines)
    since = time.monotonic()
    status, _, body = fetch(f"/capture.pcapng?{base}&duration=1")
    check("duration=1", status == 200 and 0.8 < time.monotonic() - since < 4,
          time.monotonic() - since)
    check("without packets it is a stream still", len(Stream(body).interfaces) == 1)
    since = time.monotonic()
    fetch(f"/capture.pcapng?{base}&duration=300ms")
    check("duration=300ms", 0.2 < time.monotonic() - since < 2, time.monotonic() - since)
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&bytes=4000"))
    check("bytes=4000", 3000 < len(body) < 9000, len(body))
    status, _, body = with_traffic(
        lambda: fetch(f"/capture.pcapng?{base}&count=3&payload=headers"), size=600)
    sizes = {(len(p.data), p.length) for p in Stream(body).packets}
    check("payload=headers", sizes == {(42, 642)}, sizes)
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&count=5&sample=1/10"))
    got = numbers(p for _, p in Stream(body).udp(PORT))
    check("sample=1/10", len(got) == 5 and all(b - a == 10 for a, b in zip(got, got[1:])), got)
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&duration=1&maxrate=20"))
    got = len(Stream(body).packets)
    check("maxrate=20", status == 200 and 0 < got <= 60, got)
    whole = Stream(body)
    text = " ".join(value.decode(errors="replace") for one_ in whole.interfaces
                    for code, value in one_.options if code == 1)
    check("which the stream tells", "20" in text, text)
    told = whole.last_statistics()
    check("what is left out on purpose is no loss", told.get(7, 0) == 0 and told.get(8) == got,
          told)
    for wrong in ("count=x", "count=-1", "bytes=x", "duration=x", "duration=-1", "sample=0",
                  "sample=1/0", "maxrate=x", "payload=some", "format=doc", "snaplen=x"):
        status, _, body = fetch(f"/capture.pcapng?{base}&{wrong}")
        check(f"{wrong} is refused", status == 400 and wrong.split("=")[0].encode() in body,
              (status, body[:100]))
    for query, expected in ((f"netns={one.inode}&nif=nosuch0", 404), ("netns=4026000001", 404),
                            (base + "&container=%7B%7D", 400)):
        check(f"{query} is {expected}", fetch(f"/capture.pcapng?{query}")[0] == expected,
              fetch(f"/capture.pcapng?{query}")[:1])
    status, headers, body = fetch(f"/capture.pcapng?{base}", method="HEAD")
    check("HEAD begins nothing", status == 200 and body == b"" and not agent_sessions(), status)
    # Two targets in one stream, for a while: their rings are opened one after the other, and a
    # count may be full before the second is there.
    both = "&".join("container=" + urllib.parse.quote(json.dumps(
        {"netns": space.inode, "name": name, "network-interfaces": [interface]}))
        for space, name, interface in ((one, "first", "a0"), (two, "second", "pa0")))
    status, _, body = with_traffic(
        lambda: fetch(f"/capture.pcapng?{both}&filter=udp+port+{PORT}&duration=2"))
    got = Stream(body) if status == 200 else None
    check("two targets in one stream", got and got.names_of_interfaces() == ["a0", "pa0"] and
          {p.interface for p in got.packets} == {0, 1}, (status, body[:100]))
    if got:
        described = [option(one_, 3) or b"" for one_ in got.interfaces]
        check("each says whose it is", b"first" in described[0] and b"second" in described[1],
              described)
    status, _, body = with_traffic(
        lambda: fetch(f"/capture.pcapng?{both}&filter=udp+port+{PORT}&count=10"))
    check("a count is that of both together", status == 200 and len(Stream(body).packets) == 10,
          (status, body[:100]))
    check("nothing is left", wait(lambda: not agent_sessions()), agent_sessions())


def keep_sending(sender, over, seconds=15, size=32, port=PORT):
    end, number = time.monotonic() + seconds, 0
    while not over() and time.monotonic() < end:
        send(sender, ("10.1.0.1", port), 1, size=size, first=number)
        number += 1
        time.sleep(0.002)


def send_until(child, sender, seconds=15):
    """Sends numbered packets of 1 200 octets until a capture has as many as it wants."""
    end, number = time.monotonic() + seconds, 0
    while child.poll() is None and time.monotonic() < end:
        send(sender, ("10.1.0.1", PORT), 100, size=1200, first=number)
        number += 100
        time.sleep(0.01)


def with_traffic(call, size=32):
    """Calls while numbered packets flow."""
    over = threading.Event()
    sender = two_sender()
    thread = threading.Thread(target=keep_sending, args=(sender, over.is_set, 15, size))
    thread.start()
    try:
        return call()
    except OSError as error:
        return 0, {}, repr(error).encode()
    finally:
        over.set()
        thread.join()


def command(*words, **options):
    return subprocess.Popen([portolan, "capture", "--socket", agent.path, *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finish(child, seconds=15):
    try:
        return child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()


@section
def cli():
    """portolan capture: to a pipe, to files, with rotation."""
    sender = two_sender()
    for space in (one.name, one.path, str(one.inode)):
        child = command("-i", "a0", "--netns", space, "-w", "-", "--count", "5",
                        "udp", "port", str(PORT))
        keep_sending(sender, lambda: child.poll() is not None, 8)
        out, text = finish(child)
        try:
            got = Stream(out)
            check(f"--netns {space}", len(got.packets) == 5 and got.rest == 0 and
                  child.returncode == 0, (child.returncode, text[-300:]))
        except (Malformed, IndexError) as error:
            check(f"--netns {space}", False, (error, out[:60], text[-300:]))
    sleeper = one.sleeper()
    child = command("-i", "a0", "--netns", str(sleeper.pid), "-w", "-", "--count", "1",
                    f"udp port {PORT}")
    keep_sending(sender, lambda: child.poll() is not None, 8)
    out, text = finish(child)
    check("--netns PID", child.returncode == 0 and len(Stream(out).packets) == 1,
          (child.returncode, text[-300:]))
    sleeper.kill()
    sleeper.wait()

    child = command("-i", "a0", "--netns", one.name, "-w", "-", f"udp port {PORT}")
    tshark = subprocess.Popen(["tshark", "-n", "-l", "-i", "-", "-c", "10", "-T", "fields", "-e",
                               "udp.dstport"], stdin=child.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    child.stdout.close()
    keep_sending(sender, lambda: tshark.poll() is not None, 10)
    out, complaint = tshark.communicate(timeout=10)
    check("portolan capture | tshark -i -", out.splitlines() == [str(PORT)] * 10,
          (out[:100], complaint))
    keep_sending(sender, lambda: child.poll() is not None, 5)
    check("it ends when nobody reads", wait(lambda: child.poll() is not None, 5) and
          child.returncode == 0, child.returncode)
    child.kill()

    path = os.path.join(folder, "one.pcapng")
    child = command("-i", "a0", "--netns", one.name, "-w", path, f"udp port {PORT}")
    wait(is_open)
    send(sender, ("10.1.0.1", PORT), 50)
    wait(lambda: len(Stream(open(path, "rb").read()).packets) >= 50, 3)
    child.send_signal(signal.SIGINT)
    _, text = finish(child)
    with open(path, "rb") as file:
        held = Stream(file.read())
    check("Ctrl-C leaves a whole file", held.rest == 0 and len(held.packets) == 50 and
          type(held.blocks[-1]).__name__ == "Statistics", (held.rest, len(held.packets)))
    check("and says how much", b"50" in text, text)
    check("by its exit code, too", child.returncode in (0, 130), child.returncode)

    # Rotation by size.
    pattern = os.path.join(folder, "rot.pcapng")
    child = command("-i", "a0", "--netns", one.name, "-w", pattern, "-C", "1", "--count", "3000",
                    f"udp port {PORT}")
    wait(is_open)
    send_until(child, sender)
    _, text = finish(child)
    files = sorted(glob.glob(os.path.join(folder, "rot*")), key=os.path.getmtime)
    check("-C makes several files", len(files) >= 3, (files, text[-300:]))
    total, lost = [], 0
    for name in files:
        with open(name, "rb") as file:
            held = Stream(file.read())
        check("each is a stream of its own", held.rest == 0 and held.interfaces, name)
        check("of about a megabyte", os.path.getsize(name) <= 1_200_000, os.path.getsize(name))
        total += numbers(p for _, p in held.udp(PORT))
        lost += held.drops_told()
    gaps = max(total) - min(total) + 1 - len(set(total))
    check("together they hold all, once", len(total) == len(set(total)) == 3000 and gaps <= lost,
          (len(total), min(total), max(total), gaps, lost, text[-300:]))
    for name in files:
        os.unlink(name)
    child = command("-i", "a0", "--netns", one.name, "-w", pattern, "-C", "1", "-W", "2",
                    "--count", "5000", f"udp port {PORT}")
    wait(is_open)
    send_until(child, sender)
    finish(child)
    files = glob.glob(os.path.join(folder, "rot*"))
    check("-W bounds them", 1 <= len(files) <= 2, files)
    for name in files:
        os.unlink(name)
    child = command("-i", "a0", "--netns", one.name, "-w", pattern, "-G", "1", "--duration", "3s",
                    f"udp port {PORT}")
    keep_sending(sender, lambda: child.poll() is not None, 10)
    _, text = finish(child)
    files = glob.glob(os.path.join(folder, "rot*"))
    check("-G makes a file a second", 2 <= len(files) <= 5, (files, text[-300:]))
    for name in files:
        os.unlink(name)

    for words, code, word in ((["-i", "nosuch0", "-w", "-"], 1, "nosuch0"),
                              (["--netns", "nosuchspace", "-w", "-"], 1, "nosuchspace"),
                              (["-w", "-", "tcp", "prot", "80"], (1, 2), "octet"),
                              (["--nonsense"], 2, "nonsense")):
        child = command(*words)
        out, text = finish(child)
        codes = code if isinstance(code, tuple) else (code,)
        check(f"{words} is refused", child.returncode in codes and not out and
              word in text.decode(), (child.returncode, text))
    child = subprocess.run([portolan, "capture", "--socket", folder + "/none", "-w", "-"],
                           capture_output=True)
    check("no agent, exit code 3", child.returncode == 3 and child.stderr, child)
    check("nothing is left", wait(lambda: not agent_sessions()), agent_sessions())


@section
def over_ip():
    """PCAP-over-IP: a connection is a stream."""
    sender = two_sender()
    client = socket.create_connection(("127.0.0.1", 57012), 5)
    data = bytearray()
    client.settimeout(0.2)

    def read():
        with contextlib.suppress(TimeoutError):
            while piece := client.recv(65536):
                data.extend(piece)
        return Stream(bytes(data))
    check("the stream comes at once", wait(lambda: read().names_of_interfaces() == ["a0"], 5),
          bytes(data[:60]))
    send(sender, ("10.1.0.1", PORT), 30)
    check("and its packets", wait(lambda: len(list(read().udp(PORT))) == 30, 5))
    client.close()
    check("it ends with the connection", wait(lambda: not agent_sessions()), agent_sessions())
    child = subprocess.Popen(["tshark", "-n", "-l", "-i", "TCP@127.0.0.1:57012", "-c", "10", "-T",
                              "fields", "-e", "udp.dstport"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    keep_sending(sender, lambda: child.poll() is not None, 10)
    out, complaint = finish(child)
    check("tshark -i TCP@", out.splitlines() == [str(PORT)] * 10, (out[:100], complaint[-300:]))


@section
def rows():
    """Sessions over the Unix socket and over UDP."""
    sender = two_sender()
    with Capture(netns=one.inode, nif="a0", filter=f"udp port {PORT}") as capture:
        capture.interfaces()
        send(sender, ("10.1.0.1", PORT), 25)
        capture.wait_udp(PORT, 25)
        answer = agent.ask(command="packet-sessions")
        listed = answer.get("data", {}).get("rows", [])
        check("listed over Unix", answer["code"] == 100 and len(listed) == 1, answer)
        row = (listed or [{}])[0]
        check("with filter and counters", row.get("filter") == f"udp port {PORT}" and
              25 in row.values(), row)
        listed = agent.udp("r 1 sessions")
        check("listed over UDP", len(listed) == 1 and 25 in listed[0].values(), listed)
        check("in the help", any("session" in json.dumps(line) for line in agent.udp("r 1 help")))
        name = row.get("id")
        answer = agent.ask(command="stop-packets", data=name)
        check("stopped over Unix", answer["code"] == 100, answer)
        check("its reader is told", wait(lambda: capture.ended, 5) and
              capture.code in (1000, 1001) and capture.reason, ask_of(capture))
        check("and gets the end of the stream", capture.stream().rest == 0 and
              type(capture.stream().blocks[-1]).__name__ == "Statistics")
    answer = agent.ask(command="stop-packets", data=name)
    check("once stopped it is not there", answer["code"] != 100, answer)

    ip("link", "add", "hv0", "type", "veth", "peer", "name", "hv1")
    for name in ("hv0", "hv1"):
        ip("link", "set", name, "addrgenmode", "none")
        ip("link", "set", name, "up")
    check("a session needs the key", [r for r in agent.udp("r 1 session start hv0 file=x.pcapng")
                                     if "error" in r], "taken without it")
    started = agent.udp(f"w 1:1:n2n session start hv0 udp port {PORT} file=judge.pcapng count=5")
    check("started to a file over UDP", started and "error" not in started[0], started)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind(("hv1", 0))
    path = os.path.join(packets_folder, "judge.pcapng")
    def filed():
        with contextlib.suppress(OSError):
            raw.send(ethernet(b"\xff" * 6, udp_packet(b"filed")))
        return not agent_sessions()
    check("a session with a count ends", wait(filed), agent_sessions())
    files = os.listdir(packets_folder)
    check("the file is there", files, files)
    if files:
        with open(os.path.join(packets_folder, files[0]), "rb") as file:
            held = Stream(file.read())
        check("with what was sent", len(held.packets) == 5 and held.rest == 0, held.packets)
        check("not for everybody to read", os.stat(os.path.join(
            packets_folder, files[0])).st_mode & 0o027 == 0)
    for name in ("../evil.pcapng", "/tmp/evil.pcapng", "a/b", "..", ".hidden/../x", "", "x" * 300):
        answer = agent.udp(f"w 1:1:n2n session start hv0 file={name}")
        check(f"the name {name[:20]!r} is refused", not answer or "error" in answer[0], answer)
    started = agent.udp("w 1:1:n2n session start hv0 file=stop.pcapng")
    listed = agent.udp("r 1 sessions")
    check("a second is listed", len(listed) == 1, (started, listed))
    if listed:
        agent.udp(f"w 1:1:n2n session stop {listed[0].get('id')}")
        check("and stopped over UDP", wait(lambda: not agent_sessions()), agent_sessions())

    # The stream itself over the Unix socket.
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(agent.path)
        client.sendall(json.dumps({"command": "packets", "data": {
            "netns": one.inode, "nif": "a0", "filter": f"udp port {PORT}", "count": 4}}).encode() + b"\n")
        file = client.makefile("rb")
        line = json.loads(file.readline())
        check("the stream begins with a line", line.get("code") == 100, line)
        if line.get("code") == 100:
            thread = threading.Thread(target=keep_sending, args=(sender, lambda: False, 2))
            thread.start()
            body = file.read()
            thread.join()
            check("and is what follows", len(Stream(body).packets) == 4, len(body))
    answer = agent.ask(command="packets", data={"netns": 4026000001})
    check("a refusal is a line, too", answer["code"] != 100 and answer["message"], answer)
    ip("link", "del", "hv0")


# ---- Discovery ---------------------------------------------------------------------------------

@section
def discovery():
    """/mobyshark and /json against ip and /proc."""
    process = one.sleeper()
    nested = one.spawn("sh", "-c", "sleep 601 & wait", start_new_session=True,
                       stdout=subprocess.DEVNULL)
    odd = os.path.join(folder, "a) b(")
    shutil.copy(shutil.which("sleep"), odd)
    hostile = one.spawn(odd, "602")
    wait(lambda: open(f"/proc/{hostile.pid}/comm").read().startswith("a)"))
    answers = {}
    for path in ("/mobyshark", "/discover/mobyshark", "/json", "/discover/json"):
        status, headers, body = fetch(path)
        check(path, status == 200 and headers["content-type"].startswith("application/json"),
              (status, body[:100]))
        answers[path] = json.loads(body) if status == 200 else {}
        status, _, body = fetch(path, method="HEAD")
        check(f"HEAD {path}", status == 200 and body == b"", status)
    moby = answers["/mobyshark"]
    metadata = moby.get("metadata", {})
    check("metadata", {"creator", "creator-id", "creator-version", "creation-timestamp",
                       "hostname"} <= set(metadata), metadata)
    targets = moby.get("containers", [])
    keys = {"name", "type", "netns", "network-interfaces", "pid", "starttime", "prefix"}
    check("every target has all keys", all(keys <= set(target) for target in targets))
    pairs = [(target["prefix"], target["name"]) for target in targets]
    check("names are unique", len(set(pairs)) == len(pairs))
    known = {target["name"]: target for target in targets}
    for child, name in ((process, "sleep"), (hostile, "a) b("), (nested, "sh")):
        target = known.get(f"{name}({child.pid})")
        check(f"{name} is a target", target and target["type"] == "proc" and
              target["netns"] == one.inode and target["pid"] == child.pid and
              target["starttime"] == start_time(child.pid) and
              set(target["network-interfaces"]) == one.up(), target)
    check("only the topmost process of a tree", not [
        t for t in targets if t["netns"] == one.inode and t["pid"] not in
        (process.pid, hostile.pid, nested.pid)], [t for t in targets if t["netns"] == one.inode])
    mount = known.get(bare.path) or known.get("/var" + bare.path)
    check("a bind mount is a target", mount == {
        "name": bare.path, "type": "bindmount", "netns": bare.inode, "pid": 0, "starttime": 0,
        "prefix": "", "network-interfaces": mount and mount["network-interfaces"]} and
        set(mount["network-interfaces"]) == bare.up(), mount)
    check("a namespace with processes is no bind mount",
          not [t for t in targets if t["type"] == "bindmount" and t["netns"] == one.inode])
    check("no kthreadd", not [t for t in targets if t["pid"] == 2])
    first = next((t for t in targets if t["pid"] == 1), None)
    with contextlib.suppress(OSError):  # Not everywhere may root look at it.
        netns = os.stat("/proc/1/ns/net").st_ino
        check("pid 1 is there", first and first["name"].endswith("(1)") and
              first["netns"] == netns, first)
    check("the same below /discover", {t["name"] for t in answers["/discover/mobyshark"]
                                       .get("containers", []) if t["netns"] == one.inode} ==
          {t["name"] for t in targets if t["netns"] == one.inode})

    whole = answers["/json"]
    check("lists are never null", not nulls(whole), nulls(whole)[:5])
    spaces = {space["netnsid"]: space for space in whole.get("network-namespaces", [])}
    if not check("the namespaces are there", {one.inode, two.inode, bare.inode, own_inode} <=
                 set(spaces), spaces.keys()):
        return
    ids = set(every_id(whole))
    dangling = [ref for ref in every_reference(whole) if ref and ref not in ids]
    check("references lead somewhere", not dangling, dangling[:5])
    for space in (one, two, bare):
        told = {nif["name"]: nif for nif in spaces[space.inode]["network-interfaces"]}
        links = space.links()
        check(f"interfaces of {space.name}", set(told) == set(links), (set(told), set(links)))
        addresses = {link["ifname"]: link for link in ip_json("-n", space.name, "addr")}
        for name, link in links.items():
            nif = told.get(name)
            if nif is None:
                continue
            kind = link.get("linkinfo", {}).get("info_kind", "")
            check(f"{name}", (nif["index"], nif["operstate"], nif["kind"], nif["id"]) ==
                  (link["ifindex"], link["operstate"], kind,
                   f"nif-{space.inode}-{link['ifindex']}"), nif)
            if name != "lo":
                check(f"{name}: MAC", nif["addresses"]["mac"] == link["address"], nif)
            for family, key, number in (("inet", "ipv4", 2), ("inet6", "ipv6", 10)):
                expected = sorted((a["local"], a["prefixlen"]) for a in
                                  addresses[name]["addr_info"] if a["family"] == family)
                shown = sorted((a["address"], a["prefixlen"]) for a in nif["addresses"][key]
                               if a["family"] == number)
                check(f"{name}: {key}", shown == expected, (shown, expected))
        routes = ip_json("-n", space.name, "route")
        shown = {(r["destination"], r["destination-prefixlen"]) for r in
                 spaces[space.inode]["routes"]["ipv4"] if r["table"] == 254}
        expected = {(r["dst"].split("/")[0] if r["dst"] != "default" else "0.0.0.0",
                     int((r["dst"] + "/32").split("/")[1]) if r["dst"] != "default" else 0)
                    for r in routes}
        check(f"routes of {space.name}", shown == expected, (shown, expected))
    ends = {nif["name"]: nif for nif in spaces[one.inode]["network-interfaces"]}
    peer = ends["a0"].get("peer", {})
    pa0 = two.links()["pa0"]["ifindex"]
    check("a pair knows its other end", (peer.get("peer-name"), peer.get("peer-index"),
                                         peer.get("peer-idref")) ==
          ("pa0", pa0, f"nif-{two.inode}-{pa0}"), peer)
    bridge = {nif["name"]: nif for nif in spaces[bare.inode]["network-interfaces"]}
    check("a port knows its bridge", bridge["d0"].get("master", {}).get("name") == "br0" and
          [s["name"] for s in bridge["br0"].get("slaves", [])] == ["d0"], bridge["d0"])
    containers = {c["pid"]: c for c in spaces[one.inode]["containers"] if c["pid"]}
    mine = containers.get(process.pid, {})
    check("a process with its facts", mine.get("cmdline") in ("sleep 600", ["sleep", "600"]) and
          mine.get("pidns") == os.stat("/proc/self/ns/pid").st_ino and
          mine.get("id") == f"cont-{process.pid}" and
          mine.get("dns", {}).get("uts-hostname") == socket.gethostname(), mine)
    listener = one.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("10.1.0.1", 8088))
    listener.listen()
    server = one.spawn(sys.executable, "-c", "import socket,time; s=socket.socket("
                       "socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0', 67)); "
                       "print('x', flush=True); time.sleep(600)", stdout=subprocess.PIPE)
    server.stdout.readline()
    ports = next(s for s in json.loads(fetch("/json")[2])["network-namespaces"]
                 if s["netnsid"] == one.inode)["transport-ports"]["ipv4"]
    tcp = [p for p in ports if p["protocol"] == "tcp" and p["local-port"] == 8088]
    check("a listening socket", tcp and tcp[0]["local-address"] == "10.1.0.1" and
          tcp[0]["macrostate"] == "listening", ports)
    udp = [p for p in ports if p["protocol"] == "udp" and p["local-port"] == 67]
    check("a socket with its owner", udp and [o["pid"] for o in udp[0]["owners"]] == [server.pid],
          udp)
    spaces_of_processes = {p["pidnsid"] for p in whole.get("pid-namespaces", [])}
    check("namespaces of processes", spaces_of_processes, whole.get("pid-namespaces"))
    status, _, page = fetch("/")
    check("a page with links for Wireshark", status == 200 and b"packetflix:ws://" in page and
          b"<script" not in page, page[:200])
    listener.close()
    os.killpg(nested.pid, signal.SIGKILL)
    for child in (process, nested, hostile, server):
        child.kill()
        child.wait()


@section
def kinds():
    """/json of tunnels and routes that go nowhere; refusals of long filters."""
    far = Space(f"{prefix}-far")
    raw = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(raw, 0x400454CA, struct.pack("16sH22x", b"moved0", 0x1001))
    ip("link", "set", "moved0", "netns", far.name)
    far.ip("link", "set", "moved0", "up")
    far.ip("route", "add", "blackhole", "10.66.0.0/16")
    far.ip("-6", "route", "add", "blackhole", "2001:db8:66::/48")
    whole = json.loads(fetch("/json")[2])
    space = next(s for s in whole["network-namespaces"] if s["netnsid"] == far.inode)
    nif = next(n for n in space["network-interfaces"] if n["name"] == "moved0")
    check("a tunnel that was moved knows its process", nif["tuntap"]["mode"] == "tun" and
          [p["pid"] for p in nif["tuntap"]["processors"]] == [os.getpid()], nif)
    for family in ("ipv4", "ipv6"):
        holes = [r for r in space["routes"][family] if r["type"] == "blackhole"]
        check(f"a blackhole of {family} has no interface", holes and not
              any("index" in r or "network-interface-idref" in r for r in holes), holes)
    os.close(raw)
    with Capture(netns=one.inode, nif="a0", filter="x" * 3000) as long:
        check("a long filter is not repeated to the user", long.status == 400 and
              len(long.body) < 200 and "filter" in long.body, ask_of(long))
    far.remove()


@section
def successors():
    """A process that took the number of the one that was discovered, in another namespace."""
    def living_in(path):
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            space = os.open(path, os.O_RDONLY)
            libc.setns(space, CLONE_NEWNET)
            os.write(told, b"x")
            signal.pause()
            os._exit(0)
        os.read(ready, 1)
        os.close(ready)
        os.close(told)
        return pid

    def end(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    taken_again = 0
    for _ in range(40):
        old = living_in(one.path)
        started, name = start_time(old), f"{comm(old)}({old})"
        wanted = {"name": name, "type": "proc", "prefix": "", "netns": one.inode, "pid": old,
                  "starttime": started, "network-interfaces": ["any"]}
        end(old)
        time.sleep(2 / TICKS)  # The start of another process is told apart by ticks.
        with contextlib.suppress(OSError), open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(old - 1))
        new = living_in(two.path)
        taken_again += new == old
        with Capture(container=wanted) as capture:
            check("it is not captured", capture.status in (404, 409), ask_of(capture))
        end(new)
    if not taken_again:
        print("  (no number of a process was used again)")


def nulls(value, path=""):
    if value is None:
        return [path]
    if isinstance(value, dict):
        return [p for key, inner in value.items() for p in nulls(inner, f"{path}/{key}")]
    if isinstance(value, list):
        return [p for at, inner in enumerate(value) for p in nulls(inner, f"{path}/{at}")]
    return []


def every_id(value):
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for inner in value.values():
            yield from every_id(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from every_id(inner)


def every_reference(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.endswith("idref") and isinstance(inner, str):
                yield inner
            elif key.endswith("idrefs"):
                yield from inner
            else:
                yield from every_reference(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from every_reference(inner)


# ---- Choices -----------------------------------------------------------------------------------

@section
def choices():
    """Packets of things that the agent knows: nodes of the map, hosts, devices, applications."""
    sender = two_sender()
    query = f"G.V().Has('Name', '{one.name}').Out('Name', 'a0')"
    asked = urllib.parse.quote(query)
    with Capture(query=f"gremlin={asked}&filter=udp+port+{PORT}") as capture:
        names = capture.interfaces() if capture.status == 101 else None
        check("nodes of a query", names == ["a0"], ask_of(capture))
        send(sender, ("10.1.0.1", PORT), 5)
        check("and their packets", capture.wait_udp(PORT, 5, 5))
    refused("a query without nodes", (400, 404), query="gremlin=" + urllib.parse.quote("G.V('none')"))
    refused("a query that is none", 400, query="gremlin=G.V(")
    base = f"netns={one.inode}&nif=a0&duration=800ms"
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&host=10.1.0.2"))
    check("host=", status == 200 and len(list(Stream(body).udp(PORT))) > 10, (status, body[:80]))
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&host=10.1.0.77"))
    check("host= of another", status == 200 and not Stream(body).packets, (status, body[:80]))
    mac = two.links()["pa0"]["address"]
    status, _, body = with_traffic(lambda: fetch(f"/capture.pcapng?{base}&device={mac}"))
    check("device=", status == 200 and len(list(Stream(body).udp(PORT))) > 10, (status, body[:80]))
    status, _, body = with_traffic(
        lambda: fetch(f"/capture.pcapng?{base}&host=10.1.0.2&filter=tcp"))
    check("filter and host together", status == 200 and not Stream(body).packets,
          (status, body[:80]))
    status, _, body = fetch(f"/capture.pcapng?{base}&app=nosuchapplication")
    check("an application nobody knows", status in (400, 404), (status, body[:100]))
    status, _, body = fetch(f"/capture.pcapng?{base}&flow=123456789")
    check("a flow that is not there", status in (400, 404), (status, body[:100]))

    # Names learnt from answers to look-ups stand in the stream.
    raw = two.raw("pa0")
    question = b"\4host\7example\0\0\1\0\1"
    answer = b"\x12\x34\x81\x80\0\1\0\1\0\0\0\0" + question + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\0\x02"
    reply = udp_packet(answer, port=40000)
    reply = reply[:20] + struct.pack(">H", 53) + reply[22:]
    with Capture(netns=one.inode, nif="a0", filter="udp") as capture:
        capture.interfaces()
        raw.send(ethernet(b"\xff" * 6, reply))
        time.sleep(0.2)
        send(sender, ("10.1.0.1", PORT), 3)
        capture.wait_udp(PORT, 3)
        check("a name that was learnt is told", wait(lambda: [
            record for block in capture.stream().names for record in block.records
            if record == (b"\x0a\1\0\x02", [b"host.example"])], 3), capture.stream().names)
    lines = read_by_tshark(capture.data, "-N", "n", "-T", "fields", "-e", "ip.src_host", "-Y",
                           f"udp.dstport=={PORT}")
    check("tshark shows it", lines == ["host.example"] * 3, lines)


@section
def past():
    """A session that begins in the past, on an interface that the agent watches."""
    if "lookback_kib" not in listed:
        return print("  (no setting lookback_kib: the past was not tried)")
    ip("link", "add", "past0", "type", "veth", "peer", "name", "past1")
    for name in ("past0", "past1"):
        ip("link", "set", name, "addrgenmode", "none")
        ip("link", "set", name, "up")
    later = os.path.join(folder, "past")
    os.makedirs(later)
    second = Agent(portolan, later, "-i", "past0", "-s", "lookback_kib=512", "--http",
                   "127.0.0.1:5002", "--management-port", "0", port=5002)
    wait(lambda: "past0" in json.dumps(second.ask(command="status")))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind(("past1", 0))

    def emit(first, count):
        for number in range(first, first + count):
            raw.send(ethernet(b"\xff" * 6, udp_packet(struct.pack(">I", number))))
    time.sleep(0.5)
    emit(0, 100)
    time.sleep(0.5)
    with Capture(address="127.0.0.1:5002", netns=own_inode, nif="past0", since="30s",
                 filter=f"udp port {PORT}") as capture:
        capture.interfaces() if capture.status == 101 else None
        for first in range(100, 300, 10):
            emit(first, 10)
            time.sleep(0.01)
        if check("a session in the past", capture.status == 101, ask_of(capture)):
            capture.wait_udp(PORT, 300, 5)
            got = numbers(p for _, p in capture.udp(PORT))
            check("old and new, no gap and none twice", got == list(range(300)),
                  (len(got), [n for n in range(300) if got.count(n) != 1][:20]))
            stamps = [p.nanos for p in capture.stream().packets]
            check("stamps rise", stamps == sorted(stamps))
            check("the old ones are old", stamps and stamps[99] < time.time_ns() - 3 * 10**8)
    refused("of an interface that is not remembered", 400, "lookback", netns=one.inode, nif="a0",
            since="30s")
    check("the second agent ends well", second.stop() == 0)
    ip("link", "del", "past0")


# ---- Run ---------------------------------------------------------------------------------------

if "--list" in sys.argv:
    for name, function in sections.items():
        print(f"  {name:12} {function.__doc__}")
    sys.exit(0)
wanted = sections
if "--only" in sys.argv:
    wanted = sys.argv[sys.argv.index("--only") + 1].split(",")
prefix = os.environ["INSIDE"].removesuffix("-home")
# `ip netns exec` has made a mount namespace: what others call their namespaces is not seen here.
if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"]).returncode != 0:
    skip("a file system of its own cannot be mounted here")
folder = tempfile.mkdtemp(prefix="portolan-packets-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
packets_folder = os.path.join(folder, "packets")
os.makedirs(packets_folder)
own_inode = os.stat("/proc/self/ns/net").st_ino

one, two, bare = (Space(f"{prefix}-{name}") for name in ("one", "two", "bare"))
pair(one, "a0", two, "pa0", 1)
pair(one, "b0", two, "pb0", 2)
pair(one, "x,1", two, "px1", 3)
pair(two, "bb0", bare, "d0")
one.ip("link", "add", "down0", "type", "veth", "peer", "name", "down1")
bare.ip("link", "add", "br0", "type", "bridge")
bare.ip("link", "set", "br0", "up")
bare.ip("link", "set", "d0", "master", "br0")
for space, names in ((one, ("a0", "b0", "x,1")), (two, ("pa0", "pb0", "px1", "bb0")),
                     (bare, ("d0", "br0"))):
    wait(lambda: all(space.links()[name]["operstate"] == "UP" for name in names))

options = ["-s", "packet_sessions=8", "-s", "http_per_address=256"]
listed = subprocess.run([portolan, "--list-settings"], capture_output=True, text=True).stdout
for name, value in (("packet_dir", packets_folder),
                    ("pcap_over_ip", f"127.0.0.1:57012 netns={one.inode}&nif=a0")):
    if name in listed:
        options += ["-s", f"{name}={value}"]
    else:
        print(f"  (no setting {name})")
agent = Agent(portolan, folder, *options)


def too_long(*_):
    raise TimeoutError("it takes too long")


signal.signal(signal.SIGALRM, too_long)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
for current in wanted:
    began = time.monotonic()
    before = failed
    signal.alarm(120)
    try:
        sections[current]()
    except Exception as error:  # The other sections are still worth running.
        import traceback
        check("it runs to its end", False, "".join(traceback.format_exception(error)[-3:]))
    signal.alarm(0)
    alive = agent.process.poll() is None
    check("the agent is alive", alive, agent.said()[-500:])
    print(f"  {current}: {'ok' if failed == before else 'FAILED'} in "
          f"{time.monotonic() - began:.1f} s", flush=True)
    if not alive:
        agent = Agent(portolan, folder, *options)
if agent.process.poll() is None:
    check("it ends well", agent.stop() == 0)
print(f"packets.py: {passed} checks passed, {failed} failed")
sys.exit(1 if failed else 0)
