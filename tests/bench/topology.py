#!/usr/bin/env python3
"""The map under load: memory for each node, and how soon it is right after many changes.
Python standard library and iproute2 only; needs root.

    tests/bench/topology.py [--interfaces N] [--changes N] [--program FILE]

Makes a network namespace with veth pairs, lets an agent follow it, changes it by one
`ip -batch`, and compares what the agent shows with what was asked for. Nothing here passes or
fails by the clock: the exit code is 0 unless something crashes or never comes to be right.
"""
import argparse
import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "portolan"
PATIENCE = 60


def batch(namespace, lines):
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines) + "\n",
                   text=True, check=True)


class Agent:
    def __init__(self, program, folder):
        self.path = f"{folder}/agent.sock"
        self.log = open(f"{folder}/log", "w", encoding="utf-8")
        self.child = subprocess.Popen(
            [program, "--socket", self.path, "--state-dir", f"{folder}/state", "-c", "/dev/null",
             "-i", "none-such", "--management-port", "0"], stderr=self.log)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                self.ask({"command": "status"})
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit("the agent does not answer")

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(self.path)
            client.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(client.makefile().readline())

    def nodes(self, namespace):
        found, after = {}, 0
        while after is not None:
            data = self.ask({"command": "topology", "netns": namespace, "n": 100,
                             "after": after})["data"]
            found.update({row["name"]: row for row in data["rows"]})
            after = data["next"]
        return found

    def figure(self, name):
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return 0

    def cpu(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(what, agent, right):
    start, cpu = time.monotonic(), agent.cpu()
    while not right():
        if time.monotonic() > start + PATIENCE:
            raise SystemExit(f"{what}: never came to be right")
        time.sleep(0.02)
    print(f"{what}: right after {time.monotonic() - start:.2f} s, "
          f"{agent.cpu() - cpu:.2f} s of CPU with the questions", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interfaces", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=2_000)
    parser.add_argument("--program", default=str(PROGRAM))
    options = parser.parse_args()
    name, pairs = f"ptb{os.getpid()}", options.interfaces // 2
    subprocess.run(["ip", "netns", "add", name], check=True)
    agent = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            agent = Agent(options.program, folder)
            wait("the namespace", agent, lambda: len(agent.nodes(name)) == 1)
            time.sleep(1)
            empty = agent.figure("VmRSS")
            start = time.monotonic()
            batch(name, [f"link add a{n} type veth peer name b{n}" for n in range(pairs)])
            print(f"{2 * pairs} interfaces made in {time.monotonic() - start:.2f} s", flush=True)
            wait("all of them", agent, lambda: len(agent.nodes(name)) == 2 * pairs + 1)
            time.sleep(7)
            each = (agent.figure("VmRSS") - empty) * 1024 / (2 * pairs)
            print(f"{each:.0f} bytes of RSS for each, set down", flush=True)
            lines, expected = [], {}
            for n in range(options.changes // 4):
                mtu = 1_300 + n % 200
                lines += [f"link set a{n % pairs} up", f"link set b{n % pairs} up",
                          f"addr add 10.{n % 250}.{n // 250}.1/24 dev a{n % pairs}",
                          f"link set a{n % pairs} mtu {mtu}"]
                expected[f"a{n % pairs}"] = mtu
            start = time.monotonic()
            batch(name, lines)
            print(f"{len(lines)} changes made in {time.monotonic() - start:.2f} s", flush=True)

            def right():
                nodes = agent.nodes(name)
                return all(nodes[key]["mtu"] == mtu and nodes[key]["metadata"].get("IPV4")
                           and nodes[key]["state"] == "UP" for key, mtu in expected.items())

            wait("all changes", agent, right)
            time.sleep(7)
            each = (agent.figure("VmRSS") - empty) * 1024 / (2 * pairs)
            print(f"{each:.0f} bytes of RSS for each, set up with routes and neighbours and with "
                  "what they were before", flush=True)
            cpu = agent.cpu()
            time.sleep(10)
            print(f"{(agent.cpu() - cpu) * 10:.1f} % of a processor when nothing happens")
            status = agent.ask({"command": "status"})["data"]
            print(f"resyncs "
                  f"{status['counters']['netlink_resyncs']}")
    finally:
        if agent:
            agent.child.terminate()
            agent.child.wait()
        subprocess.run(["ip", "netns", "del", name], check=False)


if __name__ == "__main__":
    main()
