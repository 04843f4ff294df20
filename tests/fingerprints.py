#!/usr/bin/env python3
"""Holds JA3 and JA4 of real captures against tshark: fingerprints.py PROGRAM [CAPTURE...]

tshark gives JA3 itself; JA4 is made here of the fields of the hello that it reads, after FoxIO's
technical description. The captures are those of nDPI beside this folder; without them, or without
tshark, the script says so and ends well. Exit code 1 if a flow has another fingerprint than that.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAPTURES = os.path.join(ROOT, "../shared/pcaps/ndpi")
HELLO = ("version", "ciphersuite", "extension.type", "extensions.supported_version",
         "extensions_alpn_str", "sig_hash_alg_len", "sig_hash_alg", "ja3")
ENDS = ("frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport",
        "tcp.dstport", "udp.srcport", "udp.dstport")
# Extensions with a list of signature algorithms each: tshark has one field for all of them.
WITH_SIGNATURES = (13, 34, 50)
NAMES = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
         0xfeff: "d1", 0xfefd: "d2", 0xfefc: "d3"}


def main():
    program, wanted = sys.argv[1], sys.argv[2:]
    truth = os.path.join(CAPTURES, "flows.tsv")
    if not os.path.exists(truth):
        return print("fingerprints.py: SKIPPED: no captures of nDPI beside this folder")
    if shutil.which("tshark") is None:
        return print("fingerprints.py: SKIPPED: no tshark: tests/setup.sh test installs it")
    names = wanted or sorted(with_hellos(truth))
    total, wrong = collections.Counter(), []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, (counts, differences) in zip(names, pool.map(lambda n: compare(program, n), names)):
            total += counts
            wrong += [f"{name}: {difference}" for difference in differences]
    print(f"{len(names)} captures: JA3 equal {total['ja3']}, other {total['ja3 other']}, with tshark "
          f"alone {total['ja3 lacks']}; JA4 equal {total['ja4']}, other {total['ja4 other']}, with "
          f"tshark alone {total['ja4 lacks']}")
    for line in wrong[:60]:
        print(line)
    if total["ja3"] < 50 * bool(not wanted) or total["ja4"] < 50 * bool(not wanted):
        sys.exit("fingerprints.py: nearly nothing was compared")
    sys.exit(bool(total["ja3 other"] + total["ja4 other"]))


def with_hellos(truth):
    with open(truth, encoding="utf-8") as file:
        rows = csv_rows(file)
        return {row["pcap"] for row in rows if row["ja4"]}


def csv_rows(file):
    heading = next(file).lstrip("#").rstrip("\n").split("\t")
    for line in file:
        yield dict(zip(heading, line.rstrip("\n").split("\t")))


def compare(program, name):
    path = os.path.join(CAPTURES, name)
    counts, differences = collections.Counter(), []
    mine = ours(program, path)
    for key, theirs in reference(path).items():
        for kind in ("ja3", "ja4"):
            have = mine.get(key, {}).get(kind)
            if have is None:
                counts[f"{kind} lacks"] += 1
            elif have in theirs[kind]:
                counts[kind] += 1
            else:
                counts[f"{kind} other"] += 1
                differences.append(f"{key}: {kind} {have}, by tshark {theirs[kind]}")
    return counts, differences


def ours(program, path):
    output = subprocess.run([program, "read", "--json", path], capture_output=True).stdout
    flows = {}
    for line in output.splitlines():
        flow = json.loads(line)
        flow = flow.get("flow", flow)
        ssl = flow.get("ssl")
        if ssl:
            ends = sorted([(flow["local_ip"], flow["local_port"]), (flow["other_ip"], flow["other_port"])])
            flows[(flow["ip_protocol"], *ends)] = {"ja3": ssl.get("client_ja3"), "ja4": ssl.get("client_ja4")}
    return flows


def reference(path):
    """Of each flow the fingerprints of its hellos: a retry may differ from the first."""
    flows = {}
    for kind in ("tls", "dtls"):
        fields = [*ENDS, *(f"{kind}.handshake.{field}" for field in HELLO)]
        command = ["tshark", "-n", "-r", path, "-Y", f"{kind}.handshake.type == 1", "-T", "fields",
                   "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
        for field in fields:
            command += ["-e", field]
        output = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
        for line in output.splitlines():
            values = dict(zip((*ENDS, *HELLO), (value.split(";") for value in line.split("\t"))))
            key, carrier = flow_of(values)
            if key is None or not values["ciphersuite"][0]:
                continue
            found = flows.setdefault(key, {"ja3": set(), "ja4": set()})
            found["ja3"].update(values["ja3"])
            found["ja4"].add(ja4(values, carrier))
    return flows


def flow_of(values):
    """The innermost ends, as tunnels are opened."""
    protocols = values["frame.protocols"][0].split(":")
    family = "ip" if last(protocols, "ip") > last(protocols, "ipv6") else "ipv6"
    transport = "tcp" if last(protocols, "tcp") > last(protocols, "udp") else "udp"
    try:
        ends = sorted((values[f"{family}.{side}"][-1], int(values[f"{transport}.{side}port"][-1]))
                      for side in ("src", "dst"))
    except ValueError:
        return None, ""
    carrier = "t" if transport == "tcp" else "q" if "quic" in protocols else "d"
    return (6 if transport == "tcp" else 17, *ends), carrier


def last(names, name):
    return max((at for at, one in enumerate(names) if one == name), default=-1)


def numbers(values):
    return [int(value, 0) for value in values if re.fullmatch(r"0x[0-9a-fA-F]+|[0-9]+", value)]


def is_grease(number):
    return number & 0x0f0f == 0x0a0a and number >> 8 == number & 0xff


def ja4(values, carrier):
    ciphers = [n for n in numbers(values["ciphersuite"]) if not is_grease(n)]
    all_extensions = numbers(values["extension.type"])
    extensions = [n for n in all_extensions if not is_grease(n)]
    versions = [n for n in numbers(values["extensions.supported_version"]) if not is_grease(n)]
    version = highest(versions or numbers(values["version"])[:1])
    protocol = values["extensions_alpn_str"][0]
    signatures, rest = [], numbers(values["sig_hash_alg"])
    with_lists = [n for n in all_extensions if n in WITH_SIGNATURES]
    for extension, length in zip(with_lists, numbers(values["sig_hash_alg_len"])):
        if extension == 13:
            signatures = [n for n in rest[:length // 2] if not is_grease(n)]
        rest = rest[length // 2:]
    head = (carrier + NAMES.get(version, "00") + ("d" if 0 in extensions else "i")
            + f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}" + ends(protocol))
    hashed = sorted(f"{n:04x}" for n in extensions if n not in (0, 16))
    text = ",".join(hashed) + ("_" + ",".join(f"{n:04x}" for n in signatures) if signatures else "")
    return "_".join((head, digest(",".join(sorted(f"{n:04x}" for n in ciphers))), digest(text)))


def highest(versions):
    """DTLS counts its versions down."""
    if versions and versions[0] >> 8 == 0xfe:
        return min(versions)
    return max(versions, default=0)


def ends(protocol):
    octets = protocol.encode()
    if not octets:
        return "00"
    if all(48 <= o < 58 or 65 <= o < 91 or 97 <= o < 123 for o in (octets[0], octets[-1])):
        return chr(octets[0]) + chr(octets[-1])
    return f"{octets[0]:02x}"[0] + f"{octets[-1]:02x}"[1]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


if __name__ == "__main__":
    main()
