#!/usr/bin/env python3
"""Reads every capture file there is with `portolan read`, whole and damaged.

  captures.py PORTOLAN [FOLDER]

Whole: exit code 0, as many packets and bytes as capinfos counts, and --json that parses and adds
up. Damaged (2 % of the bytes wrong by editcap, two seeds each): exit code 0 or 1, never a signal,
within ten seconds. FOLDER is ../shared/pcaps by default; without it, or without Wireshark's tools,
the test says so and passes.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

portolan = os.path.abspath(sys.argv[1])
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
folder = sys.argv[2] if len(sys.argv) > 2 else os.path.join(root, "..", "shared", "pcaps")

if not os.path.isdir(folder):
    print(f"skipped: no captures at {os.path.relpath(folder, root)}")
    sys.exit(0)
if not shutil.which("capinfos") or not shutil.which("editcap"):
    print("skipped: capinfos and editcap are missing (Debian: wireshark-common)")
    sys.exit(0)


def run(*command, timeout=60):
    return subprocess.run(command, capture_output=True, timeout=timeout)


def number(label, text):
    found = re.search(rf"^{label}\s+([0-9 ]+?)(?: \(|$)", text, re.M)
    return int(found.group(1).replace(" ", "")) if found else 0


files = []
for where, _, names in os.walk(folder):
    files += [os.path.join(where, n) for n in sorted(names) if n.endswith((".pcap", ".pcapng", ".cap"))]

problems = []
for path in files:
    name = os.path.basename(path)
    capinfos = run("capinfos", "-T", "-M", "-m", "-r", "-Q", "-c", "-d", path)
    known = capinfos.stdout.decode().rstrip("\n")
    # A file that capinfos calls cut short must be called so here, too.
    expected = 1 if capinfos.returncode else 0
    fields = known.split("\t") if "\t" in known else [f.strip('"') for f in known.split(",")]
    packets, size = (int(f) for f in fields[-2:])
    ours = run(portolan, "read", path)
    text = ours.stdout.decode()
    if ours.returncode != expected:
        problems.append(f"{name}: exit code {ours.returncode}: {ours.stderr.decode().strip()}")
        continue
    got = (number("packets", text), number("bytes", text))
    if got != (packets, size):
        problems.append(f"{name}: {got} packets and bytes, capinfos has {(packets, size)}")
    flows = [json.loads(line) for line in run(portolan, "read", "--json", path).stdout.splitlines()]
    counted = sum(f["total_packets"] for f in flows if not f.get("carrier"))
    if counted > packets:
        problems.append(f"{name}: {counted} packets in flows, {packets} in the file")
print(f"whole: {len(files)} files, {len(problems)} problems")

damaged = 0
with tempfile.TemporaryDirectory() as temporary:
    for path in files:
        for seed in ("1", "2"):
            broken = os.path.join(temporary, "broken")
            if run("editcap", "--seed", seed, "-E", "0.02", path, broken).returncode != 0:
                continue
            damaged += 1
            try:
                code = run(portolan, "read", "--json", broken, timeout=10).returncode
            except subprocess.TimeoutExpired:
                code = "time-out"
            if code not in (0, 1):
                problems.append(f"{os.path.basename(path)} damaged with seed {seed}: {code}")
print(f"damaged: {damaged} files")

for problem in problems:
    print("FAILED", problem)
print(f"captures: {len(files) + damaged - len(problems)} passed, {len(problems)} failed")
sys.exit(1 if problems else 0)
