#!/usr/bin/env python3
"""The shipped rules of applications pass their check, and what is wrong fails it in its place:
rules.py [SECTION]...
"""
import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "openwrt"))
from checks import Checks, top

CHECK = os.path.join(top(), "src", "applications", "rules", "check.py")
checks = Checks("rules.py")
spec = importlib.util.spec_from_file_location("check", CHECK)
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

GOOD = """# a comment
app 20201 one ads
alias eins
dom one.example
net 192.0.2.0/24
net 2001:db8::/32
port udp/4711
expr protocol == 'TLS' && (other_port == 443 || !detection_guessed) && other_ip != 192.0.2.1
"""

# Lines, where it is wrong (counted from the first of them), and a part of what is said.
WRONG = [
    ("app 20201 one ads\ndom One.example", "2:5", "'One' is no label"),
    ("app 20201 one ads\ndom a..example", "2:7", "'' is no label"),
    ("app 20201 one ads\ndom a.-b.example", "2:7", "'-b' is no label"),
    ("app 20201 one ads\ndom .example", "2:5", "no label"),
    ("app 20201 one ads\ndom a.example.", "2:15", "no label"),
    ("app 20201 one ads\ndom *.example", "2:5", "no label"),
    ("app 20201 one ads\ndom 192.0.2.1", "2:5", "net line"),
    ("app 20201 one ads\ndom co.uk", "2:5", "anyone registers"),
    ("app 20201 one ads\ndom " + ".".join(["a" * 63] * 4), "2:256", "longer than 255"),
    ("app 20201 one ads\ndom", "2:4", "takes one word"),
    ("app 20201 one ads\ndom a.example b.example", "2:15", "takes one word"),
    ("app 20201 one ads\ndom  a.example", "2:4", "one blank"),
    ("app 20201 one ads\n dom a.example", "2:1", "one blank"),
    ("app 20201 one ads\ndom a.example ", "2:14", "blanks at the end"),
    ("app 20201 one ads\ndom\ta.example", "2:4", "byte 0x09"),
    ("app 20201 one ads\ndom mün.example", "2:6", "byte 0xc3"),
    ("app 20201 one ads\ndomain a.example", "2:1", "unknown word domain"),
    ("app 20201 one ads\ndom a.example\ndom a.example", "3:5", "taken by one"),
    ("app 20201 one ads\ndom a.example\napp 20202 two ads\ndom a.example", "4:5", "taken by one"),
    ("app 20201 one ads\ndom a.example\ndom b.a.example", "3:5", "under a.example"),
    ("dom a.example", "1:1", "before the first app"),
    ("app 20201 one ads", "1:1", "no rule"),
    ("app 20201 one ads\nalias eins", "1:1", "no rule"),
    ("app 20201 one", "1:11", "ID TAG CATEGORY"),
    ("app 20201 one ads more", "1:19", "ID TAG CATEGORY"),
    ("app x one ads", "1:5", "no id"),
    ("app 19999 one ads", "1:5", "20000 to 29999"),
    ("app 30000 one ads", "1:5", "20000 to 29999"),
    ("app 20401 one ads", "1:5", "ads has the ids 20200 to 20399"),
    ("app 20201 One ads", "1:11", "a tag is"),
    ("app 20201 123 ads", "1:11", "a tag is"),
    ("app 20201 one adds", "1:15", "unknown category adds"),
    ("app 20202 one ads\ndom a.example\napp 20201 two ads\ndom b.example", "3:5", "comes after 20202"),
    ("app 20202 one ads\ndom a.example\napp 20202 two ads\ndom b.example", "3:5", "comes after 20202"),
    ("app 20201 one ads\ndom a.example\napp 20202 one ads\ndom b.example", "3:11", "tag one is taken"),
    ("app 20201 one ads\nalias two\ndom a.example\napp 20202 two ads\ndom b.example", "4:11", "tag two"),
    ("app 20201 one ads\nalias one\ndom a.example", "2:7", "tag one is taken"),
    ("app 20201 one ads\nalias Two\ndom a.example", "2:7", "a tag is"),
    ("# retired 20201 old\napp 20201 one ads\ndom a.example", "2:5", "a retired one"),
    ("# retired 20201 old\napp 20202 old ads\ndom a.example", "2:11", "a retired one"),
    ("app 20201 one ads\nnet 192.0.2.1/24", "2:5", "host bits"),
    ("app 20201 one ads\nnet 192.0.2.1", "2:5", "write 192.0.2.1/32"),
    ("app 20201 one ads\nnet 2001:DB8::/32", "2:5", "write 2001:db8::/32"),
    ("app 20201 one ads\nnet 0.0.0.0/0", "2:5", "wider"),
    ("app 20201 one ads\nnet 192.0.2.0/24\nnet 192.0.2.0/24", "3:5", "taken by one"),
    ("app 20201 one ads\nport 443", "2:6", "a slash and a port"),
    ("app 20201 one ads\nport tcp/0", "2:10", "1 to 65535"),
    ("app 20201 one ads\nport tcp/65536", "2:10", "1 to 65535"),
    ("app 20201 one ads\nport tcp/1\nport tcp/1", "3:6", "taken by one"),
    ("app 20201 one ads\nexpr", "2:5", "takes an expression"),
    ("app 20201 one ads\nexpr protokol == 'TLS'", "2:6", "unknown attribute protokol"),
    ("app 20201 one ads\nexpr protocol == 'TLSS'", "2:18", "unknown protocol TLSS"),
    ("app 20201 one ads\nexpr protocol == ", "2:17", "blanks at the end"),
    ("app 20201 one ads\nexpr protocol ==", "2:17", "expected a value"),
    ("app 20201 one ads\nexpr protocol = 'TLS'", "2:15", "'=' does not belong"),
    ("app 20201 one ads\nexpr (protocol == 'TLS'", "2:24", "expected )"),
    ("app 20201 one ads\nexpr protocol == 'TLS' other_port == 1", "2:24", "expected && or ||"),
    ("app 20201 one ads\nexpr protocol == 'TLS' &&", "2:26", "expected an attribute"),
    ("app 20201 one ads\nexpr protocol > 'TLS'", "2:15", "> is for numbers"),
    ("app 20201 one ads\nexpr other_port == 'x'", "2:20", "takes a number"),
    ("app 20201 one ads\nexpr other_ip == 300.0.0.1", "2:18", "takes an address"),
    ("app 20201 one ads\nexpr category == 'adds'", "2:18", "unknown category adds"),
    ("app 20201 one ads\nexpr detected_hostname == 'rx:('", "2:27", "regular expression"),
    ("app 20201 one ads\nexpr origin == lan", "2:16", "takes one of"),
    ("app 20201 one ads\nexpr detected_hostname == 'a", "2:27", "does not belong"),
]


def run(*files):
    """Exit status, standard output and error; in this process, as there are many cases."""
    sys.argv[1:] = files
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = check.main()
    return code, out.getvalue(), err.getvalue()


def run_on(directory, text):
    path = os.path.join(directory, "wrong.rules")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return run(path)


@checks.section
def shipped():
    done = subprocess.run([sys.executable, CHECK], capture_output=True, text=True, check=False)
    checks.same("the shipped rules are right", (done.returncode, done.stderr), (0, ""))
    counts = [int(number) for number in re.findall(r"\d+", done.stdout)]
    checks.check("there are as many as promised", counts[1] >= 320 and counts[3] >= 1200, done.stdout)


@checks.section
def right():
    with tempfile.TemporaryDirectory() as work:
        checks.same("right lines pass", run_on(work, GOOD)[::2], (0, ""))
        for text in ("expr *", "expr !(ip_nat or app == 'one');", "expr other_mac == 02:00:00:00:00:01",
                     "expr local_ip == @guests", "expr detected_hostname == 'rx:^a[0-9]+'", "expr ssl_version >= 0x0303"):
            checks.same(text, run_on(work, f"app 20201 one ads\n{text}\n")[::2], (0, ""))
        moved = "# was news\napp 22000 one ads\ndom a.example\n"
        checks.same("an id survives a change of category", run_on(work, moved)[::2], (0, ""))


@checks.section
def wrong():
    with tempfile.TemporaryDirectory() as work:
        for text, place, part in WRONG:
            code, _, err = run_on(work, text + "\n")
            found = re.search(rf"wrong\.rules:{place}: .*", err)
            checks.check(f"{text!r} fails at {place}", code == 1 and found and part in found.group(), err)
        code, _, err = run_on(work, "app 20201 one ads\ndom a.example")
        checks.check("a cut last line fails", code == 1 and "wrong.rules:2:1: the last line has no end" in err, err)
        first = os.path.join(work, "first.rules")
        with open(first, "w", encoding="utf-8") as file:
            file.write("app 20201 one ads\ndom a.example\n")
        with open(os.path.join(work, "wrong.rules"), "w", encoding="utf-8") as file:
            file.write("app 20202 two ads\ndom a.example\n")
        code, _, err = run(first, os.path.join(work, "wrong.rules"))
        checks.check("two files may not share a suffix", code == 1 and "first.rules:2" in err, err)


wanted = sys.argv[1:]
checks.run(wanted)
