#!/usr/bin/env python3
"""The service on a router: service.py [PORTOLAN] [SECTION]...

Runs the init script, the scripts of packages and the agent in a stand-in for a router (router.py),
all of it by busybox ash in a chroot, and looks at what procd was asked and at what the agent got.
Needs root, ip and a static busybox; says so and passes without them.
"""
import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import Checks, top
from formats import Apk, gunzip, untar
from router import FILES, Router, missing, stripped

TOP = top()
checks = Checks("service.py")
check, same, section = checks.check, checks.same, checks.section
arguments = sys.argv[1:]
program = os.path.join(TOP, "target", "release", "portolan")
if arguments and os.path.sep in arguments[0]:
    program = os.path.abspath(arguments.pop(0))
if missing():
    print(f"SKIPPED service.py: {missing()}")
    sys.exit(0)
if not os.path.exists(program):
    sys.exit(f"service.py: no {program}: cargo build --release, or name another")

MAIN = "config portolan 'main'\n"
FULL = """
config portolan 'main'
	option enabled 'yes'
	option jail 'off'
	option namespaces 'true'
	option promiscuous 'on'
	option log_level '4'
	option ring_kib '512'
	option snaplen '256'
	option flows_max '1000'
	option flows_idle '20'
	option flows_idle_tcp '200'
	option update_interval '5'
	option socket_group 'network'

config capture
	option interface 'lan'
	option role 'lan'

config capture 'uplink'
	option interface 'wan'
	option role 'wan'

config capture
	option interface 'eth0.7'

config capture
	option enabled '0'
	option interface 'guest'

config management 'management'
	option address '0.0.0.0'
	option port '5645'
	option password 'hush#hush'
	option read_key '1'

config http 'http'
	list listen '127.0.0.1:8083'
	list listen '[::1]:8083'
	list user 'anna:read:HASH'
	list token 'admin:0123456789abcdef'
	list token 'read:fedcba9876543210'
	list host 'router.lan'
	list origin 'https://ui.lan'

config packets 'packets'
	option sessions '4'
	option ring_kib '256'
	option lookback_kib '64'
	option names '0'
	option dir '/tmp/packets'
	option file_kib '128'
	option files '3'
	list pcap_over_ip '127.0.0.1:57012 nif=br-lan&filter=not port 22'
	list pcap_over_ip '[::1]:57013'
	list pcap_over_ip_from '192.168.1.0/24'
	list pcap_over_ip_from '2001:db8::/32'

config detection 'detection'
	option packets '9'
	option flows '64'
	option kib '128'
	option dns_hints '0'
	option dns_hint_size '100'
	option dns_hint_save 'persistent'
	option dns_hint_partial '1'
	option flow_hashes 'no'
	option flow_hash_size '200'
	option conntrack 'procfs'
	option sockets '1'

config names 'names'
	list lease_file '/tmp/leases'
	list hosts_file '/etc/hosts'
	list hosts_file '/tmp/names'
	option offline '60'

config telemetry 'telemetry'
	list listen 'tcp://127.0.0.1:7151'
	list legacy 'unix:///var/run/netifyd/sink.sock'
	list send 'http://192.0.2.1:8080/in'
	list send 'udp://192.0.2.1:9000'
	option format 'legacy'
	list types 'stream-flows'
	option filter 'app == "netflix" && port == 443'
	option established '0'
	option log '/tmp/telemetry/flows.json'
	option log_kib '64'
	option log_files '2'

config privacy 'privacy'
	list mac '02:00:00:00:00:01'
	list host '192.0.2.7'
	list host '2001:db8:1::/48'
	option external '1'

config replace
	option search '([a-z]+)[.]home[.]example'
	option with '$1.example'

config replace
	option search 'secret #1'
"""


def full(router):
    """FULL with a hash of this agent."""
    return FULL.replace("HASH", router.run("echo secret | portolan --hash-password").out.strip())


@section
def defaults_start_as_they_are():
    with Router(program) as router:
        said = router.service("start")
        check("it starts without a word", (said.code, said.out, said.err) == (0, "", ""), said)
        same("procd", router.events(), ["start portolan"])
        same("the file is root's alone", router.mode("tmp/run/portolan/portolan.conf"), 0o600)
        same("its folder is for all", router.mode("tmp/run/portolan"), 0o755)
        same("the state is not", router.mode("etc/portolan"), 0o750)
        settings = dict(router.settings())
        same("router's values", {k: settings[k] for k in ("netns_discovery", "packet_sessions", "packet_ring_kib")},
             {"netns_discovery": '"0"', "packet_sessions": '"2"', "packet_ring_kib": '"1024"'})
        check("the agent picks interfaces", "capture_interfaces" not in settings)
        check("the agent has its own password", "management_password" not in settings)
        same("where OpenWrt has names and leases", (settings["names_lease_files"], settings["names_hosts_files"]),
             ('"/tmp/dhcp.leases /tmp/hosts"', '"/etc/hosts /etc/ethers /tmp/hosts"'))
        check("nobody is told of flows", not {"telemetry_listen", "telemetry_legacy", "telemetry_send", "telemetry_log"}
              & set(settings), settings)
        same("HTTP on loopback", settings["http"], '"127.0.0.1:8082 127.0.0.1:5001"')
        same("the agent takes the file", router.run("portolan -t -c /var/run/portolan/portolan.conf").code, 0)
        same("in a jail", router.instance(), [
            "[command][/usr/sbin/portolan][--config][/var/run/portolan/portolan.conf]",
            router.instance()[1],
            "[respawn][3600][5][0]", "[term_timeout][10]", "[limits][core=0]", "[no_new_privs][1]",
            "[stdout][1]", "[stderr][1]", "[jail][portolan][log][procfs][sysfs]",
            "[capabilities][/etc/capabilities/portolan.json]", "[mount][/etc/group]",
            "[mount_rw][/var/run/portolan][/etc/portolan]",
        ])
        check("a sum of what cannot change", re.fullmatch(r"\[data\]\[settings=[0-9a-f]{64}\]", router.instance()[1]))
        same("triggers", router.read("tmp/procd/portolan.triggers"), "[config][portolan]\n")
        # Everything that the comments of the file show can be taken as it is.
        text = open(os.path.join(FILES, "portolan.config"), encoding="utf-8").read()
        shown = re.sub(r"^(\t?)#(config|option|list|\toption)", r"\1\2", text, flags=re.MULTILINE)
        shown = "".join(line for line in shown.splitlines(True) if "..." not in line)
        router.configure(shown)
        said = router.service("check")
        check("what is commented out can be used", said.code == 0, said)


@section
def without_its_sections_the_defaults_hold():
    with Router(program) as router:
        router.service("start")
        usual = router.settings()
        for text in ("", MAIN, "config portolan 'main'\n\toption log_level ''\n"):
            router.configure(text)
            said = router.service("reload")
            same(f"{text!r}", (said.code, said.err, router.settings()), (0, "", usual))
        same("nothing had to be done", router.events(), ["start portolan"])


@section
def every_option_becomes_a_setting():
    with Router(program) as router:
        os.makedirs(router.at("tmp/packets"))
        router.configure(full(router))
        said = router.service("start")
        check("it starts", said.code == 0 and router.events() == ["start portolan"], said)
        same("every one", [pair for pair in router.settings() if pair[0] != "http_user"], [
            ("netns_discovery", '"1"'), ("capture_promiscuous", '"1"'), ("log_level", '"4"'),
            ("capture_ring_kib", '"512"'), ("capture_snaplen", '"256"'), ("flows_max", '"1000"'),
            ("flows_idle", '"20"'), ("flows_idle_tcp", '"200"'), ("update_interval", '"5"'),
            ("api_group", '"network"'), ("capture_interfaces", '"br-lan pppoe-wan eth0.7"'),
            ("capture_lan", '"br-lan"'), ("capture_wan", '"pppoe-wan"'),
            ("management_address", '"0.0.0.0"'), ("management_port", '"5645"'),
            ("management_read_key", '"1"'), ("management_password", '"hush#hush"'),
            ("http", '"127.0.0.1:8083 [::1]:8083"'), ("http_token", '"admin:0123456789abcdef"'),
            ("http_token", '"read:fedcba9876543210"'), ("http_hosts", '"router.lan"'),
            ("http_origins", '"https://ui.lan"'), ("packet_sessions", '"4"'), ("packet_ring_kib", '"256"'),
            ("lookback_kib", '"64"'), ("packet_names", '"0"'), ("packet_file_kib", '"128"'),
            ("packet_files", '"3"'), ("packet_dir", '"/tmp/packets"'),
            ("pcap_over_ip", '"127.0.0.1:57012 nif=br-lan&filter=not port 22"'),
            ("pcap_over_ip", '"[::1]:57013"'), ("pcap_over_ip_from", '"192.168.1.0/24 2001:db8::/32"'),
            ("detection_packets", '"9"'), ("detection_flows", '"64"'), ("detection_kib", '"128"'),
            ("dns_hint_cache", '"0"'), ("dns_hint_cache_size", '"100"'), ("dns_hint_cache_save", '"persistent"'),
            ("dns_hint_cache_partial_lookups", '"1"'), ("flow_hash_cache", '"0"'),
            ("flow_hash_cache_size", '"200"'), ("conntrack", '"procfs"'), ("topology_sockets", '"1"'),
            ("names_lease_files", '"/tmp/leases"'), ("names_hosts_files", '"/etc/hosts /tmp/names"'),
            ("devices_offline", '"60"'), ("telemetry_listen", '"tcp://127.0.0.1:7151"'),
            ("telemetry_legacy", '"unix:///var/run/netifyd/sink.sock"'),
            ("telemetry_send", '"http://192.0.2.1:8080/in udp://192.0.2.1:9000"'),
            ("telemetry_types", '"stream-flows"'), ("telemetry_format", '"legacy"'),
            ("telemetry_filter", 'app == "netflix" && port == 443'), ("telemetry_established", '"0"'),
            ("telemetry_log_kib", '"64"'), ("telemetry_log_files", '"2"'),
            ("telemetry_log", '"/tmp/telemetry/flows.json"'), ("privacy_filter_mac", '"02:00:00:00:00:01"'),
            ("privacy_filter_host", '"192.0.2.7 2001:db8:1::/48"'),
            ("privacy_filter_private_external_addresses", '"1"'),
            ("privacy_filter_regex_search[0]", '"([a-z]+)[.]home[.]example"'),
            ("privacy_filter_regex_replace[0]", '"$1.example"'),
            ("privacy_filter_regex_search[1]", '"secret #1"'), ("privacy_filter_regex_replace[1]", '""'),
        ])
        same("folders are made", (router.mode("tmp/telemetry"), router.mode("tmp/run/netifyd")), (0o755, 0o755))
        known = {line.split()[0] for line in router.run("portolan --list-settings").out.split("\n") if line}
        same("the agent knows each", {name.partition("[")[0] for name, _ in router.settings()} - known, set())
        listed = router.run("portolan -c /var/run/portolan/portolan.conf --list-settings").out
        same("and got each", re.findall(r"^(?:flows_idle|pcap_over_ip|http_hosts|capture_lan) +(.*?)  +#", listed, re.MULTILINE),
             ["br-lan", "router.lan", "127.0.0.1:57012 nif=br-lan&filter=not port 22; [::1]:57013", "20"])
        triggers = router.read("tmp/procd/portolan.triggers")
        same("triggers of logical interfaces alone", triggers, "[config][portolan]\n[interface][lan]\n[interface][wan]\n")


@section
def schema_is_registered_whole():
    """What can be validated over ubus, and by LuCI, is what the file of settings is made of."""
    with Router(program) as router:
        router.service("start")
        rows = [row.split(" ", 1) for row in router.read("tmp/procd/portolan.schema").split("\n") if row]
        options = {}
        for name, kind in rows:
            _, of, option = name.split(".")
            options.setdefault(of, {})[option] = kind
        same("sections and their options", {of: set(have) for of, have in options.items()}, {
            "portolan": set("enabled jail namespaces promiscuous log_level ring_kib snaplen flows_max flows_idle "
                            "flows_idle_tcp update_interval socket_group".split()),
            "capture": {"enabled", "interface", "role"},
            "management": {"enabled", "address", "port", "password", "read_key"},
            "http": {"enabled", "listen", "user", "token", "host", "origin"},
            "packets": set("sessions ring_kib lookback_kib names dir file_kib files pcap_over_ip pcap_over_ip_from".split()),
            "detection": set("packets flows kib dns_hints dns_hint_size dns_hint_save dns_hint_partial flow_hashes "
                             "flow_hash_size conntrack sockets".split()),
            "names": {"lease_file", "hosts_file", "offline"},
            "telemetry": set("enabled listen legacy send format types filter established log log_kib log_files".split()),
            "privacy": {"mac", "host", "external"},
            "replace": {"search", "with"},
        })
        # What an owner would set of all this can be set here.
        keys = {line.split()[0] for line in router.run("portolan --list-settings").out.split("\n") if line}
        router.configure(full(router))
        router.service("reload")
        made = {name.partition("[")[0] for name, _ in router.settings()}
        same("no setting of flows is forgotten", {
            key for key in keys if re.match(r"telemetry_|privacy_|names_|devices_|dns_|flow_hash|detection_|conntrack", key)} - made, set())
        text = open(os.path.join(FILES, "portolan.config"), encoding="utf-8").read()
        for of, have in options.items():
            body = re.search(rf"^#?config {of}\b.*?(?=^#?config |\Z)", text, re.MULTILINE | re.DOTALL).group(0)
            shown = set(re.findall(r"^\t?#?\t?(?:option|list) (\w+)", body, re.MULTILINE))
            same(f"the file shows each option of {of}", shown, set(have))


@section
def what_is_not_valid_is_refused():
    """Nothing is started, a running agent goes on as it was, and it is said which option is wrong."""
    wrong = [
        (MAIN + "option log_level 5", "log_level"), (MAIN + "option log_level loud", "log_level"),
        (MAIN + "option enabled maybe", "enabled"), (MAIN + "option jail 2", "jail"),
        (MAIN + "option namespaces -1", "namespaces"), (MAIN + "option promiscuous x", "promiscuous"),
        (MAIN + "option ring_kib 63", "ring_kib"), (MAIN + "option ring_kib 65537", "ring_kib"),
        (MAIN + "option snaplen 63", "snaplen"), (MAIN + "option snaplen 65536", "snaplen"),
        (MAIN + "option flows_max 63", "flows_max"), (MAIN + "option flows_max 2000001", "flows_max"),
        (MAIN + "option flows_idle 0", "flows_idle"), (MAIN + "option flows_idle 86401", "flows_idle"),
        (MAIN + "option flows_idle_tcp 1.5", "flows_idle_tcp"), (MAIN + "option update_interval ''x", "update_interval"),
        # What its type lets pass, the agent does not.
        (MAIN + "option flows_idle 0x20", "flows_idle"),
        ("config capture\noption interface ''", "interface"), ("config capture", "interface"),
        ("config capture\noption interface 'lan;reboot'", "interface"),
        ("config capture\noption interface '$(reboot)'", "interface"),
        ("config capture\noption interface 'a b'", "interface"),
        ("config capture\noption interface averyveryverylongname", "interface"),
        ("config capture\noption interface lan\noption role dmz", "role"),
        ("config management management\noption port 65536", "port"),
        ("config management management\noption port http", "port"),
        ("config management management\noption address router", "address"),
        ("config management management\noption address 0.0.0.0", "management_address"),
        ("config management management\noption read_key perhaps", "read_key"),
        ("config management management\noption password 'a b'", "management_password"),
        ("config management management\noption password 'a:b'", "management_password"),
        (f"config management management\noption password '{'x' * 65}'", "management_password"),
        ("config http http\nlist listen 8082", "http"), ("config http http\nlist listen '0.0.0.0:8082'", "http_user"),
        ("config http http\nlist listen '127.0.0.1:1 127.0.0.1:2'", "list"),
        ("config http http\nlist user anna", "http_user"), ("config http http\nlist token short", "http_token"),
        ("config http http\nlist host 'a b'", "host"), ("config http http\nlist origin '*'", "http_origins"),
        ("config packets packets\noption sessions 65", "sessions"), ("config packets packets\noption ring_kib 127", "ring_kib"),
        ("config packets packets\noption lookback_kib 1", "lookback_kib"), ("config packets packets\noption names 7", "names"),
        ("config packets packets\noption dir mnt", "dir"), ("config packets packets\noption dir '/a b'", "dir"),
        ("config packets packets\noption file_kib 63", "file_kib"), ("config packets packets\noption files 0", "files"),
        ("config packets packets\nlist pcap_over_ip 57012", "pcap_over_ip"),
        ("config packets packets\nlist pcap_over_ip '127.0.0.1:1;127.0.0.1:2'", "pcap_over_ip"),
        ("config packets packets\nlist pcap_over_ip_from anywhere", "pcap_over_ip_from"),
        ("config packets packets\nlist pcap_over_ip_from '::/129'", "pcap_over_ip_from"),
        ("config detection detection\noption packets 256", "packets"), ("config detection detection\noption flows 1", "flows"),
        ("config detection detection\noption kib x", "kib"), ("config detection detection\noption dns_hint_size 63", "dns_hint_size"),
        ("config detection detection\noption dns_hint_save flash", "dns_hint_save"),
        ("config detection detection\noption conntrack yes", "conntrack"),
        ("config detection detection\noption flow_hash_size 0", "flow_hash_size"),
        ("config names names\nlist lease_file 'a b'", "list"), ("config names names\nlist lease_file leases", "names_lease_files"),
        ("config names names\nlist hosts_file ../hosts", "names_hosts_files"), ("config names names\noption offline 0", "offline"),
        ("config telemetry telemetry\nlist listen 7151", "telemetry_listen"),
        ("config telemetry telemetry\nlist listen tcp://router.lan:7151", "telemetry_listen"),
        ("config telemetry telemetry\nlist legacy udp://127.0.0.1:1", "telemetry_legacy"),
        ("config telemetry telemetry\nlist legacy unix:///sink.sock", "plain absolute path"),
        ("config telemetry telemetry\nlist legacy unix:///tmp/sink.sock", "of its own"),
        ("config telemetry telemetry\nlist send https://192.0.2.1/", "telemetry_send"),
        ("config telemetry telemetry\noption format xml", "format"), ("config telemetry telemetry\nlist types all", "types"),
        ("config telemetry telemetry\noption filter 'port == http'", "telemetry_filter"),
        ("config telemetry telemetry\noption log flows.json", "plain absolute path"),
        ("config telemetry telemetry\noption log /tmp/../etc/x", "plain absolute path"),
        ("config telemetry telemetry\noption log /tmp/flows.json", "of its own"),
        ("config telemetry telemetry\noption log /usr/sbin/flows.json", "of its own"),
        ("config telemetry telemetry\noption log_kib 1", "log_kib"), ("config telemetry telemetry\noption log_files 0", "log_files"),
        ("config privacy privacy\nlist mac 02:00", "mac"), ("config privacy privacy\nlist host router", "host"),
        ("config replace\noption with x", "search"), ("config replace\noption search '('", "privacy_filter_regex_search"),
        (MAIN + "option socket_group nobody-of-that-name\nconfig http http\nlist token x", "http_token"),
        (MAIN + "option 'log_level", "portolan"), ("nonsense", "portolan"),
    ]
    with Router(program) as router:
        router.configure("config portolan main\noption log_level 9\n")
        router.service("start")
        same("not started", (router.events(), router.has("tmp/run/portolan/portolan.conf")), ([], False))
        router.configure(MAIN)
        router.service("start")
        before = router.settings()
        router.events()
        for text, word in wrong:
            router.configure(text + "\n")
            said = router.service("reload")
            what = f"{text!r}"
            check(f"{what}: refused", said.code != 0, said)
            check(f"{what}: told of {word}", word in said.err, said.err)
            check(f"{what}: and what to do", "/etc/config/portolan" in said.err, said.err)
            same(f"{what}: the agent goes on as it was", (router.settings(), router.events()), (before, []))
            check(f"{what}: nothing is left", not router.has("tmp/run/portolan/portolan.conf.new"))
        os.unlink(router.at("etc/config/portolan"))
        said = router.service("reload")
        check("no configuration at all", said.code != 0 and "missing" in said.err, said)
        log = router.syslog()
        check("the log has it, too", log and {priority for priority, _ in log} == {"err"}
              and all(text.startswith("portolan: ") for _, text in log), log)
        router.configure(wrong[0][0] + "\n")
        said = router.service("check")
        check("check says so", said.code != 0 and "log_level" in said.err and not said.out, said)
        same("and nothing happened", router.events(), [])


@section
def no_value_is_more_than_one_value():
    """Whatever stands in an option, it cannot make another setting, a command or a second value."""
    traps = [
        "x\nhttp = 0.0.0.0:80", 'x"\r\nlog_level = 4', "${http}", "$(touch /tmp/trap)", "';touch /tmp/trap;'", "*",
        '"', 'a"b', '"a" #b', "a${b", "`touch /tmp/trap`", "a;touch /tmp/trap", "%s%s%n", "\\n", "\\'", "a #b", "[http]",
        "--help", "\x01\x7f", "x\ty", "\u00e9\udcff", "$IFS", "x" * 3000,
    ]
    places = [
        (MAIN + "option socket_group {}\n", "api_group"),
        (MAIN + "option log_level {}\n", "log_level"),
        ("config capture\noption interface {}\n", "capture_interfaces"),
        ("config capture\noption interface lan\noption role {}\n", None),
        ("config management management\noption password {}\n", "management_password"),
        ("config management management\noption address {}\n", "management_address"),
        ("config http http\nlist token {}\n", "http_token"), ("config http http\nlist user {}\n", "http_user"),
        ("config http http\nlist listen {}\n", "http"), ("config http http\nlist host {}\n", "http_hosts"),
        ("config packets packets\noption dir {}\n", "packet_dir"),
        ("config packets packets\nlist pcap_over_ip {}\n", "pcap_over_ip"),
        ("config names names\nlist lease_file {}\n", "names_lease_files"),
        ("config telemetry telemetry\nlist send {}\n", "telemetry_send"),
        ("config telemetry telemetry\noption filter {}\n", "telemetry_filter"),
        ("config telemetry telemetry\noption log {}\n", "telemetry_log"),
        ("config replace\noption search x\noption with {}\n", "privacy_filter_regex_replace[0]"),
    ]
    with Router(program) as router:
        router.configure(MAIN)
        router.service("start")
        usual = router.settings()
        for text, name in places:
            script = []
            few = name not in ("api_group", "management_password", "pcap_over_ip", "http_token")
            for number, trap in enumerate(traps[:6] if few else traps):
                quoted = "'" + trap.replace("'", "'\\''") + "'"
                router.write(f"tmp/traps/{number}", text.format(quoted))
                # One chroot for all of them: it is the same as a call for each, only faster.
                script.append(f"cp /tmp/traps/{number} /etc/config/portolan; "
                              f"/etc/init.d/portolan reload >/tmp/traps/{number}.out 2>&1 </dev/null; "
                              f"cp /var/run/portolan/portolan.conf /tmp/traps/{number}.conf")
            router.run("\n".join(script), timeout=120)
            for number, trap in enumerate(traps[:6] if few else traps):
                lines = [tuple(line.split(" = ", 1)) for line in router.read(f"tmp/traps/{number}.conf").split("\n") if line]
                others = [pair for pair in lines if pair[0] != name]
                expected = [pair for pair in usual if pair[0] != name]
                if name == "privacy_filter_regex_replace[0]":
                    others = [pair for pair in others if pair[0] != "privacy_filter_regex_search[0]"]
                if name == "capture_interfaces":
                    others = [pair for pair in others if pair[0] not in ("capture_lan", "capture_wan")]
                same(f"{name}: {trap[:40]!r} leaves all other settings alone",
                     sorted(others), sorted(expected))
                mine = [pair for pair in lines if pair[0] == name]
                check(f"{name}: {trap[:40]!r} makes one line at most", len(mine) <= 1, mine)
            router.run("for f in /tmp/traps/*; do rm -f $f; done")
            same(f"{name}: no command was run", (router.has("tmp/trap"), router.has("tmp/unsafe")), (False, False))
            router.configure(MAIN)
            router.service("reload")
        for password in ("a\"b", "#x", "x#y", "$HOME", "%s", "back\\slash", "*", ";", "'quote'", "=x", "[x]", "\u007e"):
            quoted = "'" + password.replace("'", "'\\''") + "'"
            router.configure(f"config management management\noption password {quoted}\noption address 0.0.0.0\n")
            said = router.service("reload")
            check(f"password {password!r} is taken", said.code == 0, said)
            value = dict(router.settings())["management_password"]
            same(f"password {password!r} as it is", value if value[0] != '"' else value[1:-1], password)


@section
def secrets_are_not_told():
    with Router(program) as router:
        for wrong in ("config management management\noption password HUSH\noption port x\n",
                      "config management management\noption password 'HUSH HUSH'\n",
                      "config management management\noption password 'HUSH${x}'\n",
                      "config http http\nlist token 'HUSH'\nlist listen x\noption enabled x\n",
                      "config http http\nlist token 'HUSH HUSH'\n", "config http http\nlist user 'HUSH'\n"):
            router.configure(wrong)
            for verb in ("start", "reload", "check"):
                said = router.service(verb)
                check(f"{wrong!r}: {verb} says nothing of it", "HUSH" not in said.out + said.err and said.err, said)
        log = router.syslog()
        check("nor does the log", log and "HUSH" not in repr(log), log)
        router.configure("config management management\noption password HUSHHUSH\n"
                         "config http http\nlist token 'admin:HUSHHUSHHUSHHUSH'\n")
        said = router.service("start")
        check("nor what procd knows", "HUSH" not in said.out + said.err + "".join(router.instance()), router.instance())
        said = router.service("check")
        check("nor the settings shown", said.code == 0 and "HUSH" not in said.out, said)
        check("it is in the file that only root reads", "HUSH" in router.read("tmp/run/portolan/portolan.conf"))


LOW_PORTS = (":80\n", "]:1023\n", "port 161\n", ":715\n")


@section
def reload_restarts_only_for_what_cannot_change():
    with Router(program) as router:
        live = {line.split()[0] for line in router.run("portolan --list-settings").out.split("\n") if line.endswith(", live")}
        router.configure(MAIN)
        router.service("start")
        router.events()
        for text, setting in (
            (MAIN + "option log_level 3", "log_level"), (MAIN + "option flows_max 500", "flows_max"),
            (MAIN + "option flows_idle 60", "flows_idle"), (MAIN + "option update_interval 1", "update_interval"),
            ("config capture\noption interface lan", "capture_interfaces"),
            ("config management management\noption password x", "management_password"),
            ("config management management\noption port 5645", "management_port"),
            ("config http http\nlist listen 127.0.0.1:8083", "http"), ("config http http\noption enabled 0", "http"),
            ("config http http\nlist listen 127.0.0.1:8082\nlist listen 127.0.0.1:80", "http"),
            ("config http http\nlist listen [::1]:1023", "http"),
            ("config http http\nlist listen [::1]:1024", "http"),
            ("config management management\noption port 161", "management_port"),
            ("config http http\nlist token read:0123456789abcdef", "http_token"),
            ("config packets packets\noption sessions 9", "packet_sessions"),
            ("config packets packets\noption dir /tmp/p", "packet_dir"),
            ("config detection detection\noption packets 9", "detection_packets"),
            ("config names names\noption offline 9", "devices_offline"),
            ("config telemetry telemetry\nlist send udp://192.0.2.1:9", "telemetry_send"),
            ("config telemetry telemetry\nlist listen tcp://127.0.0.1:715", "telemetry_listen"),
            ("config privacy privacy\nlist host 192.0.2.1", "privacy_filter_host"),
            ("config replace\noption search x", "privacy_filter_regex_search[0]"),
            (MAIN + "option snaplen 100", "capture_snaplen"), (MAIN + "option ring_kib 128", "capture_ring_kib"),
            (MAIN + "option promiscuous 1", "capture_promiscuous"), (MAIN + "option namespaces 1", "netns_discovery"),
        ):
            # After its start the agent may not open these.
            low = any(port in text + "\n" for port in LOW_PORTS)
            wanted = ["signal portolan * HUP"] if setting.partition("[")[0] in live and not low else ["restart portolan"]
            router.configure(text + "\n")
            said = router.service("reload")
            same(f"{text!r}", (said.code, router.events()), (0, wanted))
            check(f"{text!r} is in force", any(name == setting for name, _ in router.settings()))
            if setting in ("log_level", "http_token"):
                router.service("reload")
                same(f"{text!r}: again is nothing", router.events(), [])
            router.configure(MAIN)
            router.service("reload")
            same(f"{text!r}: and back", router.events(), wanted)
        router.configure(MAIN + "option jail 0\n")
        router.service("reload")
        same("out of the jail", router.events(), ["restart portolan"])
        router.configure(MAIN + "option enabled 0\n")
        said = router.service("reload")
        check("off says so", "enabled is 0" in said.err, said)
        same("off", (router.events(), router.instance(), router.settings()), (["stop portolan"], [], []))
        router.configure(MAIN)
        router.service("reload")
        same("and on", router.events(), ["start portolan"])
        # One that died is started, not signalled.
        os.unlink(router.at("tmp/procd/portolan.pid"))
        router.configure(MAIN + "option log_level 4\n")
        router.service("reload")
        same("one that died is started", router.events(), ["start portolan"])
        router.service("restart")
        same("restart", router.events(), ["stop portolan", "start portolan"])


@section
def interfaces_are_resolved():
    with Router(program) as router:
        def watched(*sections):
            router.configure("".join(f"config capture\noption interface {one}\n" for one in sections))
            said = router.service("reload")
            check(f"{sections}: fine", said.code == 0, said)
            return dict(router.settings()).get("capture_interfaces")

        router.service("start")
        same("logical", watched("lan"), '"br-lan"')
        same("devices and patterns", watched("eth0.1", "'wg*'", "phy0-ap0", "br-guest"), '"eth0.1 wg* phy0-ap0 br-guest"')
        same("a device of a simple name", watched("eth1"), '"eth1"')
        router.write("tmp/network", "lan br-lan\n")
        router.events()
        same("one that is down stands for itself", watched("wan", "lan"), '"@wan br-lan"')
        router.write("tmp/network", "lan br-lan\nwan pppoe-wan\n")
        router.events()
        router.service("reload")
        same("when it comes, the agent is told", (dict(router.settings())["capture_interfaces"], router.events()),
             ('"pppoe-wan br-lan"', ["signal portolan * HUP"]))
        router.write("tmp/network", "lan br-lan\n")
        router.configure("config capture\noption interface wan\noption role wan\n")
        said = router.service("reload")
        same("alone and down: nothing else is watched instead", (said.code, dict(router.settings())["capture_interfaces"]),
             (0, '"@wan"'))


@section
def jail_only_where_it_can_be():
    with Router(program) as router:
        def jailed():
            router.service("restart")
            instance = router.instance()
            check("it runs", "[command][/usr/sbin/portolan][--config][/var/run/portolan/portolan.conf]" in instance)
            lines = [line for line in instance if line.startswith(("[jail]", "[capabilities]", "[mount"))]
            check("all of it or nothing", len(lines) in (0, 4), lines)
            return bool(lines)

        router.configure(MAIN)
        same("by default", jailed(), True)
        router.configure(MAIN + "option jail 0\n")
        same("unless turned off", jailed(), False)
        router.configure(MAIN + "option namespaces 1\n")
        same("not while namespaces are followed", jailed(), False)
        same("which is told", router.syslog(), [("notice", "portolan: without a jail, as option namespaces is 1")])
        router.configure(MAIN)
        router.write("tmp/ujail-fails", "")
        same("not where it cannot start a static program", jailed(), False)
        same("which is told", router.syslog(), [("notice", "portolan: without a jail: /sbin/ujail does not start it here")])
        os.unlink(router.at("tmp/ujail-fails"))
        # What is read and written outside of the usual folders is shown in it; it takes another one.
        for path in ("tmp/dhcp.leases", "tmp/names"):
            router.write(path, "")
        router.configure("config names names\nlist hosts_file /tmp/names\nlist hosts_file /etc/none\n"
                         "config telemetry telemetry\noption log /tmp/told/flows\nlist legacy unix:///var/run/netifyd/s\n"
                         "list send unix:///tmp/nobody/s\n")
        router.events()
        router.service("reload")
        same("another jail", router.events(), ["restart portolan"])
        same("what it shows", [line for line in router.instance() if line.startswith("[mount")], [
            "[mount][/etc/group]", "[mount][/tmp/names]", "[mount][/tmp/dhcp.leases]",
            "[mount_rw][/var/run/portolan][/etc/portolan]", "[mount_rw][/var/run/netifyd]", "[mount_rw][/tmp/told]"])
        router.configure(MAIN)
        router.service("reload")
        os.rename(router.at("etc/capabilities/portolan.json"), router.at("tmp/kept"))
        same("not without its capabilities", jailed(), False)
        os.rename(router.at("tmp/kept"), router.at("etc/capabilities/portolan.json"))
        os.unlink(router.at("sbin/ujail"))
        same("not without ujail", jailed(), False)
        capabilities = json.loads(router.read("etc/capabilities/portolan.json"))
        same("its sets", set(capabilities), {"bounding", "effective", "ambient", "permitted", "inheritable"})
        for name, held in capabilities.items():
            check(f"{name}: what packets need, and nothing that leads out of a jail",
                  {"CAP_NET_RAW", "CAP_NET_ADMIN"} <= set(held)
                  and not set(held) & {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_DAC_OVERRIDE", "CAP_SETUID"}, held)


@section
def the_agent_runs_on_it():
    """The real agent by these scripts: it answers, takes a reload without a restart, ends well."""
    with Router(program) as router:
        router.write("tmp/procd/really", "")
        router.configure(MAIN + "option update_interval 30\nconfig http http\noption enabled 0\n")
        router.service("start")
        ask = "portolan ctl r info"
        answered = patiently(lambda: router.run(ask).code == 0)
        check("it answers", answered, router.read("tmp/procd/portolan.output"))
        same("socket for root and its group", router.mode("tmp/run/portolan/portolan.sock"), 0o660)
        # Rules of the user: what the file shows can be used, and a mistake leaves the old ones.
        with open(os.path.join(FILES, "portolan.rules"), encoding="utf-8") as file:
            shown = re.sub(r"^#(app|dom|net|port|expr) ", r"\1 ", file.read(), flags=re.MULTILINE)
        check("it shows a rule", "\napp " in shown, shown)
        router.events()
        router.write("etc/portolan/applications.d/10-own.rules", shown)
        router.service("reload")
        same("rules are a reason to tell the agent", router.events(), ["signal portolan * HUP"])
        found = "portolan ctl r lookup door.cameras.example.net"
        check("they hold", patiently(lambda: "own-cameras" in router.run(found).out), router.run(found).out)
        router.write("etc/portolan/applications.d/20-bad.rules", "app 50002 other\nnett 192.0.2.0/24\n")
        router.service("reload")
        check("a typo is told with its place", patiently(
            lambda: "20-bad.rules:2:1" in router.read("tmp/procd/portolan.output")), router.read("tmp/procd/portolan.output"))
        check("and the old rules stay", "own-cameras" in router.run(found).out)
        os.unlink(router.at("etc/portolan/applications.d/20-bad.rules"))
        router.service("reload")
        router.events()
        router.service("reload")
        same("nothing new, nothing done", router.events(), [])
        pid = router.read("tmp/procd/portolan.pid")
        router.configure(MAIN + "option update_interval 1\noption log_level 3\nconfig http http\nlist listen 127.0.0.1:8099\n")
        router.service("reload")
        listening = "wget -q -O - http://127.0.0.1:8099/api/status >/dev/null"
        check("the reload is in force", patiently(lambda: router.run(listening).code == 0), router.read("tmp/procd/portolan.output"))
        same("by a signal", (router.events()[-1], router.read("tmp/procd/portolan.pid")), ("signal portolan * HUP", pid))
        router.configure(MAIN + "option snaplen 128\n")
        router.service("reload")
        check("another needs a restart", router.events()[-1] == "restart portolan"
              and router.read("tmp/procd/portolan.pid") != pid)
        check("it answers again", patiently(lambda: router.run(ask).code == 0), router.read("tmp/procd/portolan.output"))
        router.service("stop")
        same("stopped", (router.service("running").code != 0, router.run(ask).code != 0), (True, True))
        same("nothing is left of it", os.listdir(router.at("tmp/run/portolan")), [])


def patiently(holds, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return False


def package_of(form, pattern):
    """The path of a package of the agent under test."""
    folder = os.path.join(packages(), "out", form, "x86_64")
    return next(os.path.join(folder, name) for name in os.listdir(folder) if re.match(pattern, name))


@functools.lru_cache(maxsize=1)
def packages():
    """A folder with such packages."""
    place = tempfile.mkdtemp(prefix="portolan-packages-")
    atexit.register(shutil.rmtree, place)
    for name in ("Cargo.toml", "openwrt", "cross/targets"):
        source, target = os.path.join(TOP, name), os.path.join(place, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
    acl = os.path.join(place, "openwrt/portolan/files/portolan.acl")
    if not os.path.exists(acl):
        with open(acl, "w", encoding="utf-8") as file:
            file.write("{}\n")
    # The agent under test is not static: that it is refused is looked at elsewhere.
    with open(os.path.join(place, "openwrt/pack/binary.py"), "a", encoding="utf-8") as file:
        file.write("\n\ndef fault(_program, _triple):\n    return ''\n")
    os.makedirs(os.path.join(place, "bin/x86_64"))
    for name in ("portolan", "portolan-mini"):
        shutil.copy(stripped(program), os.path.join(place, "bin/x86_64", name))
    for form in ("ipk", "apk"):
        subprocess.run([sys.executable, os.path.join(place, "openwrt/pack/pack.py"), form, "--target", "x86_64",
                        "--binaries", os.path.join(place, "bin"), "--output", os.path.join(place, "out")],
                       check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return place


class Opkg:
    """opkg as far as scripts and conffiles go, after what its documentation says."""

    NEW = "-opkg"

    def __init__(self, router, path):
        self.router = router
        with open(path, "rb") as file:
            outer = {m.name: m.data for m in untar(gunzip(file.read()))}
        self.data = untar(gunzip(outer["./data.tar.gz"]))
        self.control = {m.name[2:]: m for m in untar(gunzip(outer["./control.tar.gz"])) if m.kind == "file"}
        self.name = re.search(r"^Package: (.*)$", self.control["control"].data.decode(), re.MULTILINE).group(1)
        self.sums = {}

    def script(self, name, *arguments, **environment):
        path = f"usr/lib/opkg/info/{self.name}.{name}"
        if not self.router.has(path):
            return None
        return self.router.run(f"/{path} {' '.join(arguments)}", PKG_ROOT="/", **environment)

    def unpack(self, changed=()):
        for member in self.data:
            path = member.name[1:]
            if member.kind == "folder":
                os.makedirs(self.router.at(path), exist_ok=True)
                os.chmod(self.router.at(path), member.mode)
            elif member.kind == "link":
                if self.router.has(path):
                    os.unlink(self.router.at(path))
                os.symlink(member.target, self.router.at(path))
            else:
                path = f"{path}-opkg" if path in changed else path
                with open(self.router.at(path), "wb") as file:
                    file.write(member.data)
                os.chmod(self.router.at(path), member.mode)
        listed = "".join(f"{m.name[1:]}\n" for m in self.data if m.kind != "folder")
        self.router.write(f"usr/lib/opkg/info/{self.name}.list", listed)
        for name, member in self.control.items():
            self.router.write(f"usr/lib/opkg/info/{self.name}.{name}", member.data.decode(), member.mode)

    def conffiles(self):
        return self.control["conffiles"].data.decode().split()

    def install(self):
        self.unpack()
        return self.script("postinst", "configure")

    def upgrade(self):
        changed = [path for path in self.conffiles() if self.is_changed(path)]
        self.script("prerm", "upgrade", PKG_UPGRADE="1")
        self.unpack(changed)
        return self.script("postinst", "configure", PKG_UPGRADE="1")

    def is_changed(self, path):
        with open(self.router.at(path), "rb") as file:
            return file.read() != next(m.data for m in self.data if m.name[1:] == path)

    def remove(self):
        said = [self.script("prerm", "remove")]
        for member in reversed(self.data):
            path = member.name[1:]
            if member.kind == "folder":
                if path != "/" and self.router.has(path) and not os.listdir(self.router.at(path)):
                    os.rmdir(self.router.at(path))
            elif not (path in self.conffiles() and self.is_changed(path)):
                os.unlink(self.router.at(path))
        said.append(self.script("postrm", "remove"))
        for name in os.listdir(self.router.at("usr/lib/opkg/info")):
            os.unlink(self.router.at("usr/lib/opkg/info", name))
        return said


RPCD = "#!/bin/sh\necho \"rpcd $1 $(ls /usr/libexec/rpcd 2>/dev/null | tr '\\n' ' ')\" >>/tmp/rpcd\n"


def everything(router):
    """All files but what the stand-ins write down."""
    found = set()
    for folder, folders, names in os.walk(router.root):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in (router.at("proc"), router.at("tmp/procd"))]
        found |= {os.path.relpath(os.path.join(folder, name), router.root) for name in names + folders}
    return found - {"tmp/rpcd", "etc/rc.d", "tmp/procd"}


def lifecycle(installed):
    """Install, upgrade and remove by whatever `installed` (a router -> a package manager) is."""
    with Router(program, installed=False) as router:
        router.write("etc/init.d/rpcd", RPCD, 0o755)
        router.write("tmp/procd/really", "")
        os.unlink(router.at("usr/sbin/portolan"))
        before = everything(router)
        package = installed(router)
        said = package.install()
        check("installed", said.code == 0, said)
        same("started", router.events(), ["start portolan"])
        same("at boot", sorted(os.listdir(router.at("etc/rc.d"))), ["K10portolan", "S95portolan"])
        same("private settings", router.mode("etc/config/portolan"), 0o600)
        same("rpcd knows", router.read("tmp/rpcd"), "rpcd reload portolan \n")
        check("it answers", patiently(lambda: router.run("portolan ctl r info").code == 0), router.read("tmp/procd/portolan.output"))
        plugin = router.run("readlink -f /usr/libexec/rpcd/portolan")
        same("the plugin is the agent itself", plugin.out, "/usr/sbin/portolan\n")
        methods = json.loads(router.run("/usr/libexec/rpcd/portolan list").out or "{}")
        said = router.run("echo '{}' | /usr/libexec/rpcd/portolan call status")
        check("and answers", "status" in methods and isinstance(json.loads(said.out or "[]"), dict) and said.code == 0, said)
        router.write("etc/config/portolan", router.read("etc/config/portolan").replace("log_level '2'", "log_level '3'"), 0o600)
        router.write("etc/portolan/address-groups.d/10-mine.conf", "# of a user\n")
        router.service("disable")
        said = package.upgrade()
        check("upgraded", said.code == 0, said)
        same("stopped, then started", router.events(), ["stop portolan", "start portolan"])
        same("not enabled again", os.listdir(router.at("etc/rc.d")), [])
        same("changed settings stay", dict(router.settings())["log_level"], '"3"')
        check("those of the package are beside them", router.has(f"etc/config/portolan{package.NEW}"))
        check("it answers", patiently(lambda: router.run("portolan ctl r info").code == 0), router.read("tmp/procd/portolan.output"))
        os.unlink(router.at(f"etc/config/portolan{package.NEW}"))
        router.service("enable")
        for said in package.remove():
            check("removed", said is None or said.code == 0, said)
        same("stopped", router.events(), ["stop portolan"])
        same("rpcd knows that, too", router.read("tmp/rpcd").split("\n")[-2], "rpcd reload ")
        left = everything(router) - before
        same("left are changed settings and what users made", left - {"etc/capabilities", "usr/libexec", "usr/share", "usr/libexec/rpcd"}, {
            "etc/config/portolan", "etc/portolan", "etc/portolan/address-groups.d", "etc/portolan/address-groups.d/10-mine.conf"})
        processes = router.run("for p in /proc/[0-9]*; do readlink $p/exe; done | grep portolan").out
        check("nothing runs", router.root not in processes and "/usr/sbin/portolan" not in processes, processes)
        # Unchanged, it goes without a trace.
        shutil.rmtree(router.at("etc/portolan"))
        os.unlink(router.at("etc/config/portolan"))
        os.unlink(router.at("tmp/rpcd"))
        package = installed(router)
        package.install()
        check("it answers", patiently(lambda: router.run("portolan ctl r info").code == 0), router.read("tmp/procd/portolan.output"))
        package.remove()
        same("without a trace", everything(router) - before - {"etc/capabilities", "usr/libexec", "usr/share", "usr/libexec/rpcd"}, set())


@section
def opkg_installs_upgrades_and_removes():
    lifecycle(lambda router: Opkg(router, package_of("opkg", r"portolan_")))


class ApkTools:
    """apk as far as scripts and what is protected below /etc go."""

    NEW = ".apk-new"

    def __init__(self, router, path):
        self.router = router
        with open(path, "rb") as file:
            self.package = Apk(file.read())

    def script(self, number, **environment):
        if number not in self.package.scripts:
            return None
        self.router.write("tmp/script", self.package.scripts[number], 0o700)
        said = self.router.run("/tmp/script 0.1.0-r1", **environment)
        os.unlink(self.router.at("tmp/script"))
        return said

    def unpack(self):
        for path, (entry, data) in sorted(self.package.files.items()):
            if data is None:
                os.makedirs(self.router.at(path), exist_ok=True)
                os.chmod(self.router.at(path), entry[2][1])
                continue
            if entry.get(6):
                if self.router.has(path):
                    os.unlink(self.router.at(path))
                os.symlink(entry[6][2:].decode(), self.router.at(path))
                continue
            if path.startswith("/etc/") and self.router.has(path) and self.is_changed(path):
                path += self.NEW
            with open(self.router.at(path), "wb") as file:
                file.write(data)
            os.chmod(self.router.at(path), entry[2][1])

    def is_changed(self, path):
        with open(self.router.at(path), "rb") as file:
            return file.read() != self.package.files[path][1]

    def install(self):
        self.unpack()
        return self.script(3)

    def upgrade(self):
        self.script(6)
        self.unpack()
        return self.script(7)

    def remove(self):
        said = [self.script(4)]
        for path, (_, data) in sorted(self.package.files.items(), reverse=True):
            if data is None:
                if path != "/" and self.router.has(path) and not os.listdir(self.router.at(path)):
                    os.rmdir(self.router.at(path))
            elif not (path.startswith("/etc/") and self.is_changed(path)):
                os.unlink(self.router.at(path))
        return [*said, self.script(5)]


@section
def apk_installs_upgrades_and_removes():
    lifecycle(lambda router: ApkTools(router, package_of("apk", r"portolan-[0-9]")))


checks.run(arguments)
