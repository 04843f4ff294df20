"""Network namespaces, traffic and capture clients for tests that run as root."""
import atexit
import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

from pcapng import Stream

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
TICKS = os.sysconf("SC_CLK_TCK")


def ip(*words, quiet=False):
    return subprocess.run(["ip", *words], check=not quiet, capture_output=quiet)


def ip_json(*words):
    out = subprocess.run(["ip", "-j", *words], capture_output=True, check=True).stdout
    return json.loads(out or b"[]")


def entered(path, function, *arguments):
    """Calls a function in another network namespace. What it opens stays there."""
    result = []

    def body():
        space = os.open(path, os.O_RDONLY)
        try:
            if libc.setns(space, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            result.append(function(*arguments))
        except BaseException as error:  # Told to whoever called.
            result.append(error)
        finally:
            os.close(space)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class Space:
    """A network namespace with a name, removed at the end of the test."""

    def __init__(self, name, loopback=True):
        self.name, self.path = name, f"/run/netns/{name}"
        ip("netns", "add", name)
        atexit.register(self.remove)
        if loopback:
            self.ip("link", "set", "lo", "up")

    def remove(self):
        ip("netns", "del", self.name, quiet=True)

    def ip(self, *words, quiet=False):
        return ip("-n", self.name, *words, quiet=quiet)

    def links(self):
        return {one["ifname"]: one for one in ip_json("-n", self.name, "-d", "link")}

    def up(self):
        """Names of interfaces that are not down."""
        return {name for name, one in self.links().items() if one["operstate"] != "DOWN"}

    @property
    def inode(self):
        return os.stat(self.path).st_ino

    def spawn(self, *command, **options):
        child = subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)
        atexit.register(child.kill)
        return child

    def sleeper(self):
        """A process that lives in it: (pid, start time)."""
        child = self.spawn("sleep", "600")
        wait(lambda: comm(child.pid) == "sleep" and
             os.stat(f"/proc/{child.pid}/ns/net").st_ino == self.inode)
        child.started = start_time(child.pid)
        return child

    def socket(self, *kind):
        return entered(self.path, socket.socket, *kind)

    def raw(self, interface):
        """A packet socket that sends."""
        def make():
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            one.bind((interface, 0))
            return one
        return entered(self.path, make)


def pair(here, name, there, peer, number=None):
    """A pair of interfaces in two namespaces, both up; addresses 10.NUMBER.0.1 and .2."""
    ip("link", "add", name, "netns", here.name, "type", "veth", "peer", "name", peer, "netns",
       there.name)
    for space, interface, host in ((here, name, 1), (there, peer, 2)):
        space.ip("link", "set", interface, "addrgenmode", "none", quiet=True)
        if number is not None:
            space.ip("addr", "add", f"10.{number}.0.{host}/24", "dev", interface)
        space.ip("link", "set", interface, "up")


def comm(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
    return None


def start_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def wait(condition, seconds=10.0, step=0.02):
    """What the condition gives once it is true, or what it gave last."""
    end = time.monotonic() + seconds
    while True:
        try:
            last = condition()
        except (OSError, ValueError, KeyError, IndexError) as error:
            last, problem = None, error
        if last or time.monotonic() > end:
            return last
        time.sleep(step)


def send(sender, address, count, size=32, first=0):
    """Numbered packets: the number, then octets up to the size."""
    filler = bytes(max(0, size - 4))
    for number in range(first, first + count):
        sender.sendto(struct.pack(">I", number) + filler, address)


def numbers(payloads):
    return [struct.unpack(">I", one[:4])[0] for one in payloads]


# ---- clients -----------------------------------------------------------------------------------

class Capture:
    """A WebSocket client of the package `websockets`, reading in a thread of its own."""

    def __init__(self, address="127.0.0.1:5001", path="/capture", headers=(), origin=None,
                 host=None, reading=True, seconds=10, **parameters):
        from websockets.exceptions import InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect
        query = parameters.pop("query", None)
        if query is None:
            words = {name.rstrip("_"): json.dumps(value) if isinstance(value, (dict, list))
                     else str(value) for name, value in parameters.items()}
            query = urllib.parse.urlencode(words)
        self.data, self.kinds, self.arrived = bytearray(), set(), []
        self.code = self.reason = self.body = None
        self.headers, self.ended, self.lock = {}, False, threading.Lock()
        uri = f"ws://{host or address}{path}?{query}"
        place, _, port = address.rpartition(":")
        stream = socket.create_connection((place.strip("[]"), int(port)), seconds)
        stream.settimeout(None)
        try:
            self.socket = connect(uri, sock=stream, compression=None, max_size=None, proxy=None,
                                  additional_headers=list(headers), origin=origin,
                                  open_timeout=seconds, close_timeout=5)
            self.status = 101
        except InvalidStatus as error:
            self.status = error.response.status_code
            self.headers = dict(error.response.headers.raw_items())
            self.body = (error.response.body or b"").decode()
            stream.close()
        except (InvalidHandshake, OSError, EOFError) as error:
            self.status, self.body = 0, repr(error)
            stream.close()
        self.since = time.monotonic()
        if self.status == 101 and reading:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        from websockets.exceptions import ConnectionClosed
        try:
            while True:
                message = self.socket.recv()
                with self.lock:
                    self.kinds.add(type(message))
                    self.arrived.append((time.monotonic(), len(message)))
                    self.data += message if isinstance(message, bytes) else message.encode()
        except ConnectionClosed:
            pass
        self.code, self.reason = self.socket.close_code, self.socket.close_reason
        self.ended = True

    def stream(self):
        with self.lock:
            data = bytes(self.data)
        return Stream(data)

    def udp(self, port):
        return list(self.stream().udp(port))

    def interfaces(self):
        """Names of the interfaces, as soon as there are any."""
        return wait(lambda: self.stream().names_of_interfaces(), 5)

    def wait_udp(self, port, count, seconds=10):
        return wait(lambda: len(self.udp(port)) >= count, seconds)

    def close(self, code=1000, reason="ciao"):
        if self.status == 101 and not self.ended:
            self.socket.close(code, reason)
            if hasattr(self, "thread"):
                self.thread.join(5)
        return self


class Bare:
    """A WebSocket client without a library: what is sent is what the test says."""

    def __init__(self, head=None, query="", address=("127.0.0.1", 5001), buffer=None, timeout=10):
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        head = head or (
            f"GET /capture?{query} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        self.socket.sendall(head.encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            piece = self.socket.recv(65536)
            if not piece:
                break
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int((lines[0].split() + ["0", "0"])[1])
        self.fields = {name.lower(): value.strip() for name, _, value in
                       (line.partition(":") for line in lines[1:])}

    def take(self, count):
        while len(self.rest) < count:
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise EOFError
            self.rest += piece
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def frame(self):
        """(first octet, payload) of the next frame."""
        first, length = self.take(2)
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return first, self.take(length)

    def send(self, first, payload=b"", masked=True):
        mask = b"\1\2\3\4"
        body = bytes(octet ^ mask[at % 4] for at, octet in enumerate(payload)) if masked else payload
        length = len(payload) | (0x80 if masked else 0)
        self.socket.sendall(bytes([first, length]) + (mask if masked else b"") + body)

    def until_close(self):
        """Data up to the close frame, and its code and reason."""
        data = bytearray()
        while True:
            first, payload = self.frame()
            if first == 0x88:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                return bytes(data), code, payload[2:].decode()
            if first == 0x82:
                data += payload

    def reset(self):
        """Goes away as a machine does that lost its power, or nearly so."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- the agent ---------------------------------------------------------------------------------

class Agent:
    def __init__(self, program, folder, *options, port=5001):
        self.folder, self.port, self.program = folder, port, program
        self.path = os.path.join(folder, "sock")
        self.log = open(os.path.join(folder, "log"), "ab")
        command = [program, "run", "--socket", self.path, "--state-dir",
                   os.path.join(folder, "state"), *options]
        self.process = subprocess.Popen(command, stderr=self.log, stdin=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        if not wait(self.answers):
            raise SystemExit("the agent does not answer: " + self.said()[-2000:])
        self.pid = self.process.pid

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return os.path.exists(self.path)

    def said(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def holds(self):
        """Descriptors by kind, threads, and rings of packet sockets."""
        files = []
        for one in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                files.append(os.readlink(f"/proc/{self.pid}/fd/{one}").partition(":")[0])
        with open(f"/proc/{self.pid}/maps") as maps:
            rings = sum("socket:" in line for line in maps)
        return len(files), len(os.listdir(f"/proc/{self.pid}/task")), rings

    def rss(self):
        """Resident memory in KiB, rings left out."""
        with open(f"/proc/{self.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssAnon"].split()[0])

    def ask(self, **request):
        """One command over the Unix socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.path)
            client.sendall(json.dumps(request).encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        return json.loads(answer)

    def udp(self, text, port=5644):
        """Rows of an answer of the management port."""
        rows = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(text.encode(), ("127.0.0.1", port))
            with contextlib.suppress(TimeoutError):
                while True:
                    row = json.loads(client.recv(65536))
                    kind = row.pop("_type", "row")
                    if kind in ("end", "error"):
                        rows += [row] if kind == "error" else []
                        break
                    if kind == "row":
                        rows.append(row)
        return rows

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(5)


def fetch(path, address=("127.0.0.1", 5001), method="GET", headers=(), timeout=15):
    """One request over HTTP: (status, headers in lower case, body)."""
    import http.client
    one = http.client.HTTPConnection(*address, timeout=timeout)
    one.putrequest(method, path, skip_host=any(name.lower() == "host" for name, _ in headers),
                   skip_accept_encoding=True)
    for name, value in headers:
        one.putheader(name, value)
    one.endheaders()
    answer = one.getresponse()
    body = answer.read()
    one.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
