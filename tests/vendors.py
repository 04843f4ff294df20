#!/usr/bin/env python3
"""The table of vendors says what the registry says, and refuses damage: vendors.py [SECTION]..."""
import contextlib
import importlib.util
import io
import os
import random
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "openwrt"), os.path.join(HERE, "..", "openwrt", "vendors")]
from checks import Checks, top
from vendor_names import LONGEST, short

TOOL = os.path.join(top(), "openwrt", "vendors", "vendors.py")
COMMON = os.path.join(top(), "src", "wire", "vendors.txt")
DEBIAN = "/usr/share/ieee-data"
checks = Checks("vendors.py")
spec = importlib.util.spec_from_file_location("tool", TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

OUI = """OUI/MA-L   Organization

00-22-72   (hex)\t\tAmerican Micro-Fuel Device Corp.
002272     (base 16)\t\tAmerican Micro-Fuel Device Corp.
\t\t\t\t2181 Buchanan Loop

FF-FF-FF   (hex)\t\tLast One GmbH
FFFFFF     (base 16)\t\tLast One GmbH

00-00-00   (hex)\t\tXEROX CORPORATION
000000     (base 16)\t\tXEROX CORPORATION

08-00-30   (hex)\t\tFirst Holder
080030     (base 16)\t\tFirst Holder

08-00-30   (hex)\t\tSecond Holder
080030     (base 16)\t\tSecond Holder

AC-DE-48   (hex)\t\tPrivate
ACDE48     (base 16)\t\tPrivate

70-B3-D5   (hex)\t\tIEEE Registration Authority
70B3D5     (base 16)\t\tIEEE Registration Authority

20-85-93   (hex)\t\tIEEE Registration Authority
208593     (base 16)\t\tIEEE Registration Authority
""".replace("\n", "\r\n")
MAM = """
20-85-93   (hex)\t\tIOG Products LLC
B00000-BFFFFF     (base 16)\t\tIOG Products LLC

20-85-93   (hex)\t\tPrivate
C00000-CFFFFF     (base 16)\t\tPrivate
"""
OUI36 = """
70-B3-D5   (hex)\t\tM\u00fcller & S\u00f6hne GmbH
F2F000-F2FFFF     (base 16)\t\tM\u00fcller & S\u00f6hne GmbH

20-85-93   (hex)\t\tInner Circle
B01000-B01FFF     (base 16)\t\tInner Circle
"""

NAMES = {
    "Apple, Inc.": "Apple", "HUAWEI TECHNOLOGIES CO.,LTD": "Huawei", "Samsung Electronics Co.,Ltd": "Samsung",
    "Hewlett Packard Enterprise": "HPE", "Hewlett Packard": "HP", "Intel Corporate": "Intel",
    "Motorola Mobility LLC, a Lenovo Company": "Motorola", "GUANGDONG OPPO MOBILE TELECOMMUNICATIONS CORP.,LTD": "OPPO",
    "Shenzhen CZTIC Electronic Technology Co., Ltd": "Cztic", "AESYS S.p.A.": "Aesys", "Televic N.V.": "Televic",
    "Lucas-N\u00fclle GmbH": "Lucas-Nulle", "WIZnet (Hong Kong) Limited": "WIZnet", "Advanced Systems Co": "Advanced Systems",
    "Texas Instruments": "Texas Instruments", "Private": "", "IEEE Registration Authority": "", "3M": "3M",
    "Schweitzer Engineering Laboratories and Partners": "Schweitzer", "A" * 40: "A" + "a" * (LONGEST - 1),
}


def run(*words):
    """Exit status, standard output and error; in this process, as there are many cases."""
    sys.argv[1:] = words
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = tool.main()
        except SystemExit as exit_:
            print(exit_.code, file=sys.stderr)
            code = 1
    return code, out.getvalue(), err.getvalue()


def made_up(work):
    paths = []
    for name, text in (("oui.txt", OUI), ("mam.txt", MAM), ("oui36.txt", OUI36)):
        paths.append(os.path.join(work, name))
        with open(paths[-1], "w", encoding="utf-8", newline="") as file:
            file.write(text)
    table = os.path.join(work, "vendors.bin")
    code, out, err = run("build", table, *paths)
    checks.check("it is built", code == 0 and "4 + 1 + 2 blocks" in out, out + err)
    return table, paths


@checks.section
def names():
    for registered, expected in NAMES.items():
        checks.same(registered, short(registered), expected)


@checks.section
def lookups():
    with tempfile.TemporaryDirectory() as work:
        table, paths = made_up(work)
        expected = {
            "00:22:72:00:00:00": "American Micro-Fuel", "002272ffffff": "American Micro-Fuel",
            "0022.7300.0000": "-", "00-22-71-FF-FF-FF": "-",
            "00:00:00:00:00:00": "Xerox", "ff:ff:ff:ff:ff:ff": "Last One", "ff:ff:fe:ff:ff:ff": "-",
            "08:00:30:01:02:03": "First Holder",
            "ac:de:48:00:00:01": "-", "70:b3:d5:00:00:00": "-", "20:85:93:00:00:00": "-", "20:85:93:c0:00:00": "-",
            "20:85:93:b0:00:00": "IOG", "20:85:93:bf:ff:ff": "IOG", "20:85:93:b0:1f:ff": "Inner Circle",
            "20:85:93:b0:20:00": "IOG", "70:b3:d5:f2:f0:00": "Muller & Sohne", "70:b3:d5:f2:e0:00": "-",
        }
        code, out, err = run("lookup", table, *expected)
        checks.same("lookups", (code, dict(zip(expected, out.split("\n"))), err), (0, expected, ""))
        checks.same("check agrees", run("check", table, *paths)[0], 0)
        other = os.path.join(work, "other.txt")
        with open(other, "w", encoding="utf-8") as file:
            file.write(OUI.replace("American Micro-Fuel", "Somebody Else"))
        code, _, err = run("check", table, other)
        checks.check("check sees another name", code == 1 and "002272" in err, err)
        again = os.path.join(work, "again.bin")
        run("build", again, *paths)
        with open(table, "rb") as first, open(again, "rb") as second:
            checks.check("the same input gives the same bytes", first.read() == second.read())


@checks.section
def damage():
    with tempfile.TemporaryDirectory() as work:
        table, _ = made_up(work)
        with open(table, "rb") as file:
            whole = file.read()
        chance = random.Random(7)
        cases = [whole[:cut] for cut in (0, 3, 23, 24, 40, len(whole) - 1)] + [whole + b"\0", b"PVEX" + whole[4:],
                 whole[:4] + b"\2" + whole[5:], whole[:5] + b"\0" + whole[6:], whole[:6] + b"\0\1" + whole[8:],
                 whole[:8] + struct.pack(">I", 1 << 30) + whole[12:]]
        for _ in range(40):
            bent = bytearray(whole)
            bent[chance.randrange(24, len(bent))] ^= 1 << chance.randrange(8)
            cases.append(bytes(bent))
        for at, case in enumerate(cases):
            with open(table, "wb") as file:
                file.write(case)
            code, out, err = run("lookup", table, "00:22:72:00:00:00", "70:b3:d5:f2:f0:00")
            # A bent bit may change a prefix or a name, but never ends in an exception.
            checks.check(f"case {at} ends in order", bool(code) == bool(err), out + err)
            if at < 12:
                checks.check(f"case {at} is refused", code == 1 and table in err, out + err)


@checks.section
def common_list():
    with open(COMMON, "rb") as file:
        raw = file.read()
    checks.check("it fits", 4000 < len(raw) <= 8192 and raw.endswith(b"\n"), len(raw))
    seen = {}
    for line in raw.decode("ascii").splitlines():
        name, _, digits = line.partition("=")
        prefixes = [digits[at : at + 6] for at in range(0, len(digits), 6)]
        checks.check(line[:30], 0 < len(name) <= LONGEST and prefixes == sorted(prefixes)
                     and all(len(prefix) == 6 and set(prefix) <= set("0123456789ABCDEF") for prefix in prefixes))
        for prefix in prefixes:
            checks.check(f"{prefix} is given once", prefix not in seen, seen.get(prefix))
            seen[prefix] = name
    checks.check("there are enough", len(seen) >= 300, len(seen))


@checks.section
def registry():
    if not os.path.exists(f"{DEBIAN}/oui.txt"):
        checks.skip("the registry itself", "the Debian package ieee-data is not installed")
        return
    with tempfile.TemporaryDirectory() as work:
        table = os.path.join(work, "vendors.bin")
        code, out, err = run("build", table)
        checks.check("it is built", code == 0, out + err)
        checks.check("it is small", os.path.getsize(table) < 600_000, os.path.getsize(table))
        code, out, err = run("check", table)
        checks.check("6 000 addresses agree", code == 0 and " 0 wrong" in out, out + err)
        blocks = tool.named(tool.DEBIAN)
        with open(COMMON, encoding="ascii") as file:
            for name, _, digits in (line.strip().partition("=") for line in file):
                for prefix in (digits[at : at + 6] for at in range(0, len(digits), 6)):
                    of = blocks.get((24, int(prefix, 16)), tool.UNREGISTERED.get(name) == prefix and name)
                    checks.same(f"{prefix} of the short list", of, name)


wanted = sys.argv[1:]
checks.run(wanted)
