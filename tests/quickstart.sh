#!/bin/bash
# What the README promises a newcomer: `make run`, then the sessions as printed, then Ctrl-C.
# Needs root (the agent captures on real interfaces); traffic goes over loopback alone.
set -euo pipefail
cd "$(dirname "$0")/.."

sock=/var/run/netifyd/netifyd.sock
log=$(mktemp)
failed=0
passed=0

if [ "$(id -u)" != 0 ]; then
    echo "skipped: quickstart needs root"
    exit 0
fi
if nc -NU /var/run/portolan/portolan.sock 2>/dev/null <<<'{"command":"status"}' | grep -q code; then
    echo "skipped: an agent is running here already"
    exit 0
fi

state=$(mktemp -d)
make run ARGS="-i lo --state-dir $state" >"$log" 2>&1 &
runner=$!
cleanup() {
    pkill -TERM -f 'portolan --socket /var/run/portolan/portolan.sock' 2>/dev/null || true
    wait "$runner" 2>/dev/null || true
    rm -rf "$log" "$state"
}
trap cleanup EXIT

for _ in $(seq 600); do
    [ -S "$sock" ] && break
    kill -0 "$runner" 2>/dev/null || break
    sleep 0.5
done

# expect NAME PATTERN TEXT: the text must hold the pattern.
expect() {
    if grep -qE -- "$2" <<<"$3"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s: no %s in:\n%s\n' "$1" "$2" "$3"
    fi
}

expect "make run says what to try next" 'nc -NU /var/run/portolan/portolan.sock' "$(cat "$log")"

# The seed's interactive session.
answer=$(printf '%s\n' '{ "command": "add-group-address", "group": "games", "data": "23.62.104.113" }' | nc -NU $sock)
expect "add by nc -NU" '"code":100' "$answer"
expect "add counts" '"errors":0,"total":1' "$answer"
answer=$(nc -NU $sock <<'EOF'
{
    "command": "status"
}
EOF
)
expect "status over several lines" '"flow_count":' "$answer"
expect "status is fine" '"message":"Ok."' "$answer"

# The group commands of the document, one after the other on one connection.
answer=$(nc -NU $sock <<'EOF'
{
    "command": "add-group-address",
    "group": "printers",
    "data": "192.168.1.100"
}
{
    "command": "add-group-address",
    "group": "printers",
    "data": [
        "10.0.0.101",
        "10.0.0.220"
    ]
}
{
    "command": "remove-group-address",
    "group": "printers",
    "data": "192.168.1.100"
}
{
    "command": "save-address-group",
    "group": "printers"
}
{
    "command": "flush-group-addresses",
    "group": "printers"
}
EOF
)
expect "five answers" '^5$' "$(grep -c '"code":100' <<<"$answer")"

# The management port.
answer=$(echo r 1 help | nc -w1 -u 127.0.0.1 5644)
expect "begin" '^\{"_tag":"1","_type":"begin","cmd":"help"\}$' "$answer"
expect "a row for status" '"cmd":"status"' "$answer"
expect "end" '^\{"_tag":"1","_type":"end","cmd":"help"\}$' "$answer"
expect "wrong key" '"error":"badauth"' "$(echo w 3 verbose 5 | nc -w1 -u 127.0.0.1 5644)"
expect "right key" '"traceLevel":3' "$(echo w 3:1:n2n verbose 3 | nc -w1 -u 127.0.0.1 5644)"
expect "empty line" 'uptime' "$(echo | nc -w1 -u 127.0.0.1 5644)"
expect "flows of this very talk" '"dport":5644' "$(echo r 2 flows proto=udp | nc -w1 -u 127.0.0.1 5644)"
expect "ctl" '"flows":' "$(target/release/portolan ctl status)"

# The map.
answer=$(curl -s -H 'Content-Type: application/json' -d '{"GremlinQuery": "G.V().Count()"}' 127.0.0.1:8082/api/topology)
expect "a query over HTTP" '^[1-9][0-9]*$' "$answer"
expect "a query on the command line" '"lo"' "$(target/release/portolan query "G.V().Values('Name')")"
expect "a drawing" '^digraph g' "$(curl -s -H 'Accept: text/vnd.graphviz' 127.0.0.1:8082/api/topology)"
answer=$(curl -s -H 'Content-Type: application/json' -d @- 127.0.0.1:8082/api/capture <<'EOF'
{"GremlinQuery": "G.V().Has('Name', 'lo')", "BPFFilter": "icmp"}
EOF
)
expect "a capture" '"UUID":"[0-9a-f-]{36}"' "$answer"
id=$(grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' <<<"$answer" | head -1)
ping -c 2 -i 0.2 -q 127.0.0.1 >/dev/null
sleep 1
flows=$(target/release/portolan query --json "G.Flows().Has('Application', 'ICMPv4').Values('Metric.ABPackets')")
# Two requests and two replies; both ends are the same, so all go from A to B.
expect "its flows, each packet once" '^\[4\]' "$flows"
expect "captures by UDP" "$id" "$(echo r 4 captures | nc -w1 -u 127.0.0.1 5644)"
curl -s -X DELETE "127.0.0.1:8082/api/capture/$id"
expect "deleted" '^[{][}]' "$(curl -s 127.0.0.1:8082/api/capture)"

# Live packets. The stream itself is left out of them, so pings have to make some.
curl -sN -m 20 '127.0.0.1:8082/capture.pcapng?nif=lo&filter=icmp&count=2' >"$state/two.pcapng" &
download=$!
answer=$(
    timeout -s INT 20 target/release/portolan capture -i lo -c 2 -w - icmp 2>/dev/null | tshark -r - 2>/dev/null &
    for _ in $(seq 20); do
        ping -c 1 -W 1 -q 127.0.0.1 >/dev/null
        sleep 0.1
    done
    wait
)
expect "portolan capture into tshark" '^2$' "$(grep -c ICMP <<<"$answer")"
wait $download || true
expect "a download" '^2$' "$(tshark -r "$state/two.pcapng" 2>/dev/null | grep -c ICMP)"
expect "targets of captures" '"containers":\[\{"name":' "$(curl -s 127.0.0.1:5001/discover/mobyshark)"
expect "who answers Packetflix's clients" '"name":"portolan","version":"' "$(curl -s 127.0.0.1:5001/version)"
expect "a courteous word" 'WebSocket' "$(curl -s 127.0.0.1:5001/capture)"

echo "quickstart: $passed passed, $failed failed"
[ "$failed" = 0 ]
