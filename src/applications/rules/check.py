#!/usr/bin/env python3
"""Checks the rules of applications that are shipped: check.py [FILE]...

Without files, those beside this script. Prints counts; where something is wrong, a line
FILE:LINE:COLUMN: what it is, and the exit status is 1. What the lines mean is said at the top of
portolan.rules; beyond what the agent itself refuses, this looks after what has to hold over the
years: ids in the block of their category, in order, none given twice, retired ones left alone.
"""
import glob
import ipaddress
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CATALOGUE = os.path.join(HERE, "..", "..", "detect", "protocol.rs")
FIRST, BLOCK, LAST = 20000, 200, 29999
OVERFLOW = 27000  # For categories whose block is full.
LONGEST_LINE = 255
TRANSPORTS = ("tcp", "udp", "udplite", "sctp", "dccp")
# Under these anyone registers names, so they can't stand for one application.
REGISTRIES = re.compile(r"(com|net|org|info|biz|io|co|dev|app|me|tv|cc|[a-z]{2}|(com|co|net|org)\.[a-z]{2})")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
TAG = re.compile(r"[a-z0-9-]*[a-z][a-z0-9-]*")

TEXTS = {"detected_hostname", "dns_hostname"}
TAGS = {"application", "app", "app_id", "application_id", "protocol", "proto", "proto_id", "protocol_id"}
CATEGORIES = {"application_category", "app_category", "protocol_category", "proto_category",
              "domain_category", "dom_category", "category", "cat"}
ADDRESSES = {"local_ip", "other_ip", "local_mac", "other_mac"}
NUMBERS = {"local_port", "other_port", "ip_protocol", "ip_version", "vlan_id", "fwmark", "ssl_version",
           "tls_version", "ssl_cipher", "ndpi_risk_score", "ndpi_risk_client", "ndpi_risk_server"}
CONSTANTS = {"other_type": {"other_unknown", "other_unsupported", "other_local", "other_multicast",
                            "other_broadcast", "other_remote", "other_error"},
             "origin": {"origin_local", "origin_other", "origin_unknown"},
             "tunnel_type": {"tunnel_none", "tunnel_gtp"}}
FLAGS = {"ip_nat", "detection_guessed", "detection_updated", "detection_complete", "risks"}


class Wrong(Exception):
    """What is wrong, and at which offset of the text at hand."""

    def __init__(self, offset, what):
        super().__init__(what)
        self.offset = offset


def catalogue():
    """Categories by name with their numbers, and the names of protocols, in lower case."""
    with open(CATALOGUE, encoding="utf-8") as file:
        source = file.read()
    enumeration = re.search(r"pub enum Category \{(.*?)\n\}", source, re.S).group(1)
    numbers = {name: int(number) for name, number in re.findall(r"(\w+) = (\d+),", enumeration)}
    categories = {name: numbers[variant]
                  for variant, name in re.findall(r'\(Self::(\w+), "([a-z0-9-]+)"\)', source)}
    protocols = {name.lower() for name in re.findall(r'= \d+, "([^"]+)", \w+;', source)}
    if not categories or not protocols:
        sys.exit(f"{CATALOGUE}: no categories or no protocols found; adapt catalogue() to its form")
    return categories, protocols


class Expression:
    """Whether a text is an expression; precedence doesn't matter for that, positions do."""

    TOKEN = re.compile(r"""\s*(?:(?P<string>'[^']*')|(?P<op>==|!=|>=|<=|>|<|\|\||&&|[()!*;])
                           |(?P<word>[@A-Za-z0-9_.:/-]+))""", re.X)

    def __init__(self, text, protocols, categories):
        self.text, self.protocols, self.categories = text, protocols, categories
        self.tokens, at = [], 0
        while text[at:].strip():
            found = self.TOKEN.match(text, at)
            if not found:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise Wrong(at, f"{text[at]!r} does not belong in an expression")
            self.tokens.append((found.lastgroup, found.group(found.lastgroup), found.start(found.lastgroup)))
            at = found.end()
        self.tokens.append(("end", "", len(text)))
        self.at = 0

    def check(self):
        self.any_of(0)
        if self.peek()[1] == ";":
            self.take()
        kind, word, at = self.peek()
        if kind != "end":
            raise Wrong(at, f"expected && or || before {word!r}")

    def peek(self):
        return self.tokens[self.at]

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def any_of(self, depth):
        if depth > 32:
            raise Wrong(self.peek()[2], "nested too deeply")
        self.one(depth)
        while self.peek()[1].lower() in ("||", "&&", "or", "and") and self.peek()[0] != "string":
            self.take()
            self.one(depth)

    def one(self, depth):
        kind, word, at = self.take()
        while word == "!" and kind == "op":
            kind, word, at = self.take()
        if kind == "op" and word == "(":
            self.any_of(depth + 1)
            kind, word, at = self.take()
            if word != ")" or kind != "op":
                raise Wrong(at, "expected )")
            return
        if kind == "op" and word == "*":
            return
        if kind != "word":
            raise Wrong(at, "expected an attribute" + (f", not {word}" if word else ""))
        self.attribute(word, at)

    def attribute(self, name, at):
        known = TEXTS | TAGS | CATEGORIES | ADDRESSES | NUMBERS | FLAGS | set(CONSTANTS)
        if name not in known:
            raise Wrong(at, f"unknown attribute {name}")
        kind, op, op_at = self.peek()
        if kind != "op" or op not in ("==", "!=", ">", ">=", "<", "<="):
            return
        self.take()
        if op not in ("==", "!=") and name not in NUMBERS:
            raise Wrong(op_at, f"{op} is for numbers, and {name} is none")
        self.value(name, *self.take())

    def value(self, name, kind, value, at):
        bare = value[1:-1] if kind == "string" else value
        if kind not in ("string", "word"):
            raise Wrong(at, f"expected a value for {name}")
        if kind == "string" and bare.startswith("rx:"):
            if name not in TEXTS | TAGS | CATEGORIES:
                raise Wrong(at, f"{name} is no text, so no regular expression applies")
            try:
                re.compile(bare[3:])
            except re.error as error:
                raise Wrong(at, f"regular expression: {error}") from None
        elif name in NUMBERS:
            if kind == "string" or not re.fullmatch(r"\d+|0[xX][0-9a-fA-F]+", value):
                raise Wrong(at, f"{name} takes a number")
        elif name in ADDRESSES:
            if kind == "string" or not (value.startswith("@") or is_address(value)):
                raise Wrong(at, f"{name} takes an address, a network or @group")
        elif name in CONSTANTS:
            if value not in CONSTANTS[name]:
                raise Wrong(at, f"{name} takes one of {' '.join(sorted(CONSTANTS[name]))}")
        elif name in FLAGS:
            if name != "risks" and value.lower() not in ("true", "false"):
                raise Wrong(at, f"{name} is true or false")
        elif name in CATEGORIES:
            if bare not in self.categories:
                raise Wrong(at, f"unknown category {bare}")
        elif name.startswith("proto") and not bare.isdigit() and bare.lower() not in self.protocols:
            raise Wrong(at, f"unknown protocol {bare}")
        elif kind == "word" and name in TEXTS:
            raise Wrong(at, f"{name} takes a text in single quotes")


def is_address(text):
    if re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        return True
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


class Application:
    def __init__(self, number, tag, at):
        self.number, self.tag, self.at, self.rules = number, tag, at, 0


class Rules:
    """Everything seen so far, over all files."""

    def __init__(self):
        self.categories, self.protocols = catalogue()
        self.wrong = []
        self.ids, self.tags, self.suffixes, self.networks, self.ports = {}, {}, {}, {}, {}
        self.count = dict.fromkeys(("app", "dom", "net", "port", "expr", "alias"), 0)

    def complain(self, file, line, column, what):
        self.wrong.append((file, line, column, what))

    def read(self, path):
        shown = os.path.relpath(path)
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        if lines.pop() != b"":
            self.complain(shown, len(lines) + 1, 1, "the last line has no end")
        self.app, self.last, self.moved, self.skip = None, 0, None, False
        for number, raw in enumerate(lines, 1):
            try:
                self.line(raw, (shown, number))
            except Wrong as wrong:
                self.complain(shown, number, wrong.offset + 1, wrong)
        self.close()

    def line(self, raw, at):
        foreign = next((i for i, byte in enumerate(raw) if not 32 <= byte < 127), None)
        if foreign is not None:
            raise Wrong(foreign, f"byte 0x{raw[foreign]:02x}: only printable ASCII, no tabs")
        text = raw.decode()
        if len(text) > LONGEST_LINE:
            raise Wrong(LONGEST_LINE, f"longer than {LONGEST_LINE} bytes")
        moved, self.moved = self.moved, None
        if text.startswith("#"):
            self.comment(text, at)
            return
        if not text:
            return
        if text != text.rstrip():
            raise Wrong(len(text.rstrip()), "blanks at the end")
        words = [(found.group(), found.start()) for found in re.finditer(r"\S+", text)]
        keyword, start = words[0]
        if start or "  " in text and keyword != "expr":
            raise Wrong(0 if start else text.index("  "), "one blank between words, none before them")
        if keyword not in self.count:
            raise Wrong(0, f"unknown word {keyword}; expected {' '.join(self.count)}")
        if keyword == "app":
            self.close()
            self.skip = True  # What belongs to an application that is wrong is not held against it.
            self.application(words, moved, at)
            self.skip = False
        elif self.skip:
            return
        elif self.app is None:
            raise Wrong(0, f"{keyword} before the first app")
        elif keyword == "expr":
            self.expression(text)
        else:
            if len(words) != 2:
                offset = words[2][1] if len(words) > 2 else len(text)
                raise Wrong(offset, f"{keyword} takes one word")
            {"dom": self.domain, "net": self.network, "port": self.port, "alias": self.alias}[keyword](
                *words[1], at)
        self.count[keyword] += 1

    def comment(self, text, at):
        if found := re.fullmatch(r"# was (\S+)", text):
            self.moved = found.group(1)
        elif found := re.fullmatch(r"# retired (\d+) (\S+)", text):
            self.take(self.ids, "id", int(found.group(1)), "a retired one", at, found.start(1))
            self.take(self.tags, "tag", found.group(2), "a retired one", at, found.start(2))
        elif text.startswith("# retired ") and text[10:11].isdigit():
            raise Wrong(0, "expected # retired ID TAG")

    def take(self, seen, kind, what, owner, at, offset):
        """Notes that `what` is taken, or says by whom it was."""
        if what in seen:
            other, (file, line) = seen[what]
            raise Wrong(offset, f"{kind} {what} is taken by {other} ({file}:{line})")
        seen[what] = (owner, at)

    def close(self):
        if self.app and not self.app.rules:
            file, line = self.app.at
            self.complain(file, line, 1, f"{self.app.tag} has no rule")
        self.app = None

    def application(self, words, moved, at):
        if len(words) != 4:
            raise Wrong(words[-1][1], "expected app ID TAG CATEGORY")
        (number, number_at), (tag, tag_at), (category, category_at) = words[1:]
        if not re.fullmatch(r"[1-9]\d{0,4}", number):
            raise Wrong(number_at, f"{number} is no id")
        number = int(number)
        if not FIRST <= number <= LAST:
            raise Wrong(number_at, f"shipped ids are {FIRST} to {LAST}")
        if not TAG.fullmatch(tag) or len(tag) > 32:
            raise Wrong(tag_at, "a tag is up to 32 of a-z 0-9 - with a letter among them")
        if category not in self.categories:
            raise Wrong(category_at, f"unknown category {category}")
        if moved and moved not in self.categories:
            raise Wrong(category_at, f"it was of an unknown category {moved}")
        first = FIRST + BLOCK * self.categories[moved or category]
        if number < OVERFLOW and not first <= number < first + BLOCK:
            raise Wrong(number_at, f"{moved or category} has the ids {first} to {first + BLOCK - 1}")
        if number <= self.last:
            raise Wrong(number_at, f"id {number} comes after {self.last}")
        self.take(self.ids, "id", number, tag, at, number_at)
        self.last = number
        self.take(self.tags, "tag", tag, f"id {number}", at, tag_at)
        self.app = Application(number, tag, at)

    def alias(self, tag, offset, at):
        if not TAG.fullmatch(tag) or len(tag) > 32:
            raise Wrong(offset, "a tag is up to 32 of a-z 0-9 - with a letter among them")
        self.take(self.tags, "tag", tag, self.app.tag, at, offset)

    def domain(self, name, offset, at):
        if len(name) > 253:
            raise Wrong(offset, "longer than 253 bytes")
        where = offset
        for label in name.split("."):
            if not LABEL.fullmatch(label):
                raise Wrong(where, f"{label!r} is no label of a domain: a-z 0-9 - _, 1 to 63 of them")
            where += len(label) + 1
        if re.fullmatch(r"[0-9.]+", name):
            raise Wrong(offset, "an address goes into a net line")
        if REGISTRIES.fullmatch(name):
            raise Wrong(offset, f"under {name} anyone registers names")
        self.take(self.suffixes, "suffix", name, self.app.tag, at, offset)
        self.app.rules += 1

    def network(self, text, offset, at):
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise Wrong(offset, str(error)) from None
        if str(network) != text:
            raise Wrong(offset, f"write {network}")
        if network.prefixlen < (8 if network.version == 4 else 24):
            raise Wrong(offset, "wider than one application can be")
        self.take(self.networks, "network", text, self.app.tag, at, offset)
        self.app.rules += 1

    def port(self, text, offset, at):
        transport, _, number = text.partition("/")
        if transport not in TRANSPORTS:
            raise Wrong(offset, f"expected one of {' '.join(TRANSPORTS)}, a slash and a port")
        if not re.fullmatch(r"[1-9]\d{0,4}", number) or int(number) > 65535:
            raise Wrong(offset + len(transport) + 1, "a port is 1 to 65535")
        self.take(self.ports, "port", text, self.app.tag, at, offset)
        self.app.rules += 1

    def expression(self, text):
        body = text[len("expr"):]
        start = len(text) - len(body.lstrip())
        if not body.strip():
            raise Wrong(len(text), "expr takes an expression")
        try:
            Expression(text[start:], self.protocols, self.categories).check()
        except Wrong as wrong:
            raise Wrong(start + wrong.offset, str(wrong)) from None
        self.app.rules += 1

    def needless(self):
        """Suffixes that lie under another of the same application, none of others in between."""
        for name, (tag, (file, line)) in self.suffixes.items():
            rest = name
            while "." in rest:
                rest = rest.split(".", 1)[1]
                if rest in self.suffixes:
                    if self.suffixes[rest][0] == tag:
                        self.complain(file, line, 5, f"{name} is under {rest} of {tag} already")
                    break


def main():
    files = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, "*.rules")))
    if any(name.startswith("-") for name in files):
        print(__doc__)
        return 0 if files[0] in ("-h", "--help") else 2
    rules = Rules()
    for path in files:
        try:
            rules.read(path)
        except OSError as error:
            sys.exit(f"{path}: {error.strerror}")
    rules.needless()
    for file, line, column, what in sorted(rules.wrong, key=lambda wrong: wrong[:3]):
        print(f"{file}:{line}:{column}: {what}", file=sys.stderr)
    count = rules.count
    print(f"{len(files)} files: {count['app']} applications, {count['alias']} aliases, "
          f"{count['dom']} domains, {count['net']} networks, {count['port']} ports, {count['expr']} expressions")
    return 1 if rules.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
