#!/bin/sh
# What must hold on an ARM machine; run in it by machine.py, under busybox:
# inside.sh router|rollover|begin
#
# A router with a bridge for the local network, an uplink over a pair of devices, and a card; the
# host behind the bridge ("pc") and the one behind the uplink ("far") are network namespaces. Counts
# are compared, rates and times never: an emulated machine has a clock of its own.

part=${1:-router}
key=no-default-key
run=/var/run/portolan
conf=$run/portolan.conf
log=/tmp/portolan.log
passed=0
failed=0
tab=$(printf '\t')

# check WHAT COMMAND...: the command must succeed, within a minute.
check() {
    what=$1
    shift
    if within 60 "$@"; then
        passed=$((passed + 1))
        echo "ok$tab$what"
    else
        failed=$((failed + 1))
        echo "FAILED$tab$what: $*"
        sed 's/^/    /' /tmp/seen 2>/dev/null | cut -c1-1500
    fi
}

# within SECONDS COMMAND...: tries until it succeeds; what it prints is kept in /tmp/seen.
within() {
    end=$(($(uptime_of) + $1))
    shift
    while ! "$@" >/tmp/seen 2>&1; do
        [ "$(uptime_of)" -lt "$end" ] || return 1
        usleep 200000
    done
}

note() {
    echo "note$tab$*"
}

uptime_of() {
    cut -d. -f1 /proc/uptime
}

hundredths() {
    cut -d' ' -f1 /proc/uptime | tr -d .
}

# field NAME: the value of a number or a text in lines of JSON, one a line.
field() {
    tr ',{}' '\n\n\n' | sed -n "s/^\"$1\":\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p"
}

ask() {
    portolan ctl r "$@" 2>&1
}

# says TEXT COMMAND...: what the command prints must hold the text.
says() {
    text=$1
    shift
    "$@" >/tmp/said 2>&1
    cat /tmp/said
    grep -qF -- "$text" /tmp/said
}

# lacks TEXT COMMAND...: the command must succeed and not print the text.
lacks() {
    text=$1
    shift
    "$@" >/tmp/said 2>&1 && ! grep -qF -- "$text" /tmp/said && return
    cat /tmp/said
    return 1
}

# ---- The network -------------------------------------------------------------------------------

# space NAME: a network namespace with a process in it; leaves its number in $space.
space() {
    unshare -n sleep 100000 &
    space=$!
    own=$(readlink /proc/self/ns/net)
    within 30 differs "$own" "/proc/$space/ns/net"
    mkdir -p /var/run/netns
    : >"/var/run/netns/$1"
    mount --bind "/proc/$space/ns/net" "/var/run/netns/$1"
}

differs() {
    there=$(readlink "$2") && [ "$there" != "$1" ]
}

# pair NAME PID: a pair of devices, the other end as eth0 in that namespace.
pair() {
    ip link add "$1" type veth
    ip link set veth0 netns "$2"
    nsenter -t "$2" -n ip link set veth0 name eth0
    nsenter -t "$2" -n ip link set eth0 up
    nsenter -t "$2" -n ip link set lo up
}

network() {
    echo 1 >/proc/sys/net/ipv4/ip_forward
    space pc && pc=$space
    space far && far=$space
    brctl addbr br-lan
    pair lan1 "$pc"
    brctl addif br-lan lan1
    ip addr add 192.168.1.1/24 dev br-lan
    ip link set lan1 up
    ip link set br-lan up
    nsenter -t "$pc" -n ip addr add 192.168.1.10/24 dev eth0
    nsenter -t "$pc" -n ip route add default via 192.168.1.1
    pair wan0 "$far"
    ip addr add 198.51.100.1/24 dev wan0
    ip link set wan0 up
    nsenter -t "$far" -n ip addr add 198.51.100.2/24 dev eth0
    nsenter -t "$far" -n ip route add default via 198.51.100.1
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
}

# More kinds of devices for the map.
devices() {
    ip link add link br-lan name br-lan.42 type vlan id 42
    ip link set br-lan.42 up
    [ -d /sys/class/net/dummy0 ] || ip link add dummy0 type dummy
    [ -d /sys/class/net/bond0 ] || ip link add bond0 type bond
    ip link set dummy0 down
    ip link set dummy0 master bond0
    ip link set bond0 up
}

# pings COUNT FROM TO: that many must come back.
pings() {
    nsenter -t "$2" -n ping -q -c "$1" -i 0.02 -W 10 "$3" | grep -q " $1 packets received"
}

# ---- The agent ---------------------------------------------------------------------------------

# configure [INTERFACE [IDLE]]: writes the settings; into a file that is there already, since a
# busybox of 32 bits can't look at files made after 2038.
configure() {
    cat >$conf <<END
[capture]
interfaces = br-lan wan0 eth0 $1
lan = br-lan
wan = wan0
ring_kib = 512
[management]
password = $key
[packet]
sessions = 2
ring_kib = 1024
dir = /tmp/packets
[flows]
idle = ${2:-300}
END
}

prepare() {
    mkdir -p $run /etc/portolan /tmp/packets
    : >$conf
    chmod 600 $conf
    configure
}

start() {
    began=$(hundredths)
    portolan -c $conf 2>$log &
    agent=$!
    check "it answers" answers
    note "from start to first answer: $(($(hundredths) - began))0 ms of the machine, the asking included"
}

answers() {
    ask status | grep -q '"uptime"'
}

is_capturing() {
    ask interfaces | grep "\"dev\":\"$1\"" | grep -q '"capturing":1'
}

# flow_has DEV PROTO HOST FIELD VALUE: a flow there whose field has that value.
flow_has() {
    ask flows "dev=$1" "proto=$2" "host=$3" | tee /tmp/said | field "$4" | grep -qx "$5" && return
    cat /tmp/said
    return 1
}

# flow_moved DEV PROTO HOST OCTETS: a flow there with at least so many octets towards us.
flow_moved() {
    for octets in $(ask flows "dev=$1" "proto=$2" "host=$3" | tee /tmp/said | field rx_bytes); do
        [ "$octets" -ge "$4" ] && return
    done
    cat /tmp/said
    return 1
}

frames_of() {
    echo $(($(cat "/sys/class/net/$1/statistics/rx_packets") +
        $(cat "/sys/class/net/$1/statistics/tx_packets")))
}

seen_of() {
    ask interfaces | grep "\"dev\":\"$1\"" | field seen_pkt
}

# quiet DEV: no frame for two seconds; what the device had moved before the agent looked is noted.
quiet() {
    moved=$(frames_of "$1") && seen=$(seen_of "$1")
    sleep 2
    [ "$moved" = "$(frames_of "$1")" ] && [ "$seen" = "$(seen_of "$1")" ] || return
    eval "base_$1=$((moved - seen))"
}

# all_seen DEV: since the agent began to count, it has seen each frame that the device moved.
all_seen() {
    eval "before=\$base_$1"
    seen=$(seen_of "$1") && moved=$(($(frames_of "$1") - before))
    echo "$1: moved $moved, seen $seen"
    [ "$seen" = "$moved" ]
}

# KiB of the agent that are rings: pages that its sockets share with the kernel.
rings() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / {ring = /socket:/} /^Rss:/ && ring {sum += $2} END {print sum + 0}' \
        "/proc/$agent/smaps"
}

# A request, 101 pieces, the last of them empty, and as many acknowledgements; two datagrams more
# where the client asks how large the file is.
file_was_read() {
    said=$(ask flows dev=eth0 proto=udp host=10.0.2.2) && echo "$said"
    sent=$(echo "$said" | field tx_pkt) && got=$(echo "$said" | field rx_pkt)
    [ "$sent $got" = "102 101" ] || [ "$sent $got" = "103 102" ]
}

memory() {
    rss=$(awk '/^VmRSS/ {print $2}' "/proc/$agent/status")
    ring=$(rings)
    note "$1: $(grep -E '^(VmRSS|RssAnon|RssFile|RssShmem)' "/proc/$agent/status" |
        tr -s '\t \n' ' ')rings $ring kB"
    check "$1: at most 4 MiB besides its rings ($((rss - ring)) KiB)" [ $((rss - ring)) -le 4096 ]
}

holds() {
    portolan query --json "$1" | tee /tmp/said | grep -qF -- "$2" && return
    cat /tmp/said
    return 1
}

# ---- What is tried -----------------------------------------------------------------------------

router() {
    prepare
    check "its configuration is fine" says "fine" portolan -c $conf -t
    touch /started
    start
    for device in br-lan wan0 eth0; do
        check "it captures on $device" is_capturing $device
    done
    memory "idle"
    traffic
    management
    memory "after traffic"
    map
    captures
    reload
    losses
    written
    stop
}

traffic() {
    for device in wan0 eth0; do
        check "$device: nothing on its way" quiet $device
    done
    check "200 pings pass the router" pings 200 "$pc" 198.51.100.2
    for device in br-lan wan0; do
        check "$device: 200 requests" flow_has $device icmp 198.51.100.2 tx_pkt 200
        check "$device: 200 replies" flow_has $device icmp 198.51.100.2 rx_pkt 200
        check "$device: their octets" flow_has $device icmp 198.51.100.2 rx_bytes 19600
    done
    mkdir -p /tmp/far
    head -c 300000 /dev/zero >/tmp/far/file
    nsenter -t "$far" -n httpd -p 8080 -h /tmp/far
    check "300 000 octets over TCP" nsenter -t "$pc" -n wget -q -O /tmp/got http://198.51.100.2:8080/file
    for device in br-lan wan0; do
        check "$device: the connection and its octets" flow_moved $device tcp 198.51.100.2 300000
        check "$device: it is closed" flow_has $device tcp 198.51.100.2 state closed
    done
    # A driver of hardware under the ring: what the emulator has at the other end of the card.
    check "100 pings over the card" pings 100 $$ 10.0.2.2
    check "eth0: 100 requests" flow_has eth0 icmp 10.0.2.2 tx_pkt 100
    check "eth0: 100 replies" flow_has eth0 icmp 10.0.2.2 rx_pkt 100
    check "a file of 51 200 octets over UDP" tftp -g -r file -l /tmp/got 10.0.2.2
    check "eth0: each datagram of that" file_was_read
    for device in wan0 eth0; do
        check "$device: as many frames seen as there were" all_seen $device
    done
}

management() {
    check "the list of methods" says '"cmd":"interfaces"' ask help
    check "a change with the key" portolan ctl -k $key w verbose 3
    check "and back" portolan ctl -k $key w verbose 2
    check "no change with another key" fails portolan ctl -k wrong w verbose 4
    check "the host at the top" says '"key":"198.51.100.2"' ask top of=host
    if nc --help 2>&1 | grep -q -- '-u'; then
        check "as the documents have it, by nc" nc_says '"_type":"end"'
    else
        note "this busybox has no nc -u: portolan ctl stands in for it"
    fi
    check "HTTP" says '"IsConnected":true' wget -q -O - http://127.0.0.1:8082/api/status
}

nc_says() {
    echo r 1 interfaces | nc -w1 -u 127.0.0.1 5644 | grep -qF -- "$1"
}

fails() {
    ! "$@"
}

map() {
    devices
    check "the map has the host" holds "G.V().Has('Type','host').Count()" 1
    check "the bridge holds its port" holds "G.V().Has('Name','br-lan').Out('Name','lan1').Count()" 1
    check "the VLAN" holds "G.V().Has('Name','br-lan.42').Values('Type')" '"vlan"'
    check "its number" holds "G.V().Has('Name','br-lan.42').Values('Vlan')" 42
    check "the VLAN is on the bridge" \
        holds "G.V().Has('Name','br-lan').Both().Values('Name')" br-lan.42
    check "the dummy device" holds "G.V().Has('Name','dummy0').Values('Driver')" dummy
    check "the bond" holds "G.V().Has('Name','bond0').Values('Type')" '"bond"'
    check "the bond holds the dummy device" holds "G.V().Has('Name','bond0').Out().Values('Name')" dummy0
    check "the namespaces" holds "G.V().Has('Type','netns').Values('Name')" '"pc"'
    check "a pair of devices across namespaces" \
        holds "G.V().Has('Name','pc','Type','netns').Out('Name','eth0').Both().Values('Name')" lan1
    check "addresses of the other namespace" \
        holds "G.V().Has('Name','far','Type','netns').Out('Name','eth0').Values('IPV4')" 198.51.100.2
    check "the card's driver" holds "G.V().Has('Name','eth0','Driver','virtio_net').Count()" 1
}

captures() {
    portolan capture --netns pc -q --count 40 -w /tmp/pc.pcapng icmp 2>/tmp/capture.log &
    capture=$!
    check "a session of live packets" says '"state":"open"' ask sessions
    check "20 pings while it runs" pings 20 "$pc" 198.51.100.2
    check "the stream is whole and ends" gone $capture
    check "40 packets of another namespace" says '"total_packets":40' portolan read --json /tmp/pc.pcapng
    check "recording into a file" portolan ctl -k $key w session start wan0 icmp file=wan count=10
    check "it has its ring" says '"state":"open"' ask sessions
    check "5 pings for it" pings 5 "$pc" 198.51.100.2
    check "the recording" says '"total_packets":10' portolan read --json /tmp/packets/wan
}

# gone PID: ended, though nobody has waited for it.
gone() {
    ! readlink "/proc/$1/exe" >/dev/null
}

reload() {
    configure lan1 17
    kill -HUP $agent
    check "another interface after SIGHUP" is_capturing lan1
    check "another setting after SIGHUP" says 17 wget -q -O - http://127.0.0.1:8082/api/config/flows_idle
    configure "" nonsense
    kill -HUP $agent
    check "a bad file is named" says "flows_idle must be" cat $log
    check "and leaves the old settings" says 17 wget -q -O - http://127.0.0.1:8082/api/config/flows_idle
    configure
    kill -HUP $agent
    check "and the good ones again" says 300 wget -q -O - http://127.0.0.1:8082/api/config/flows_idle
    check "the same process, still there" kill -0 $agent
}

losses() {
    wget -q -O - http://127.0.0.1:8082/api/status >/tmp/status
    check "no ring lost a packet" says '"drops":0' ask status
    check "no interface lost any" lacks_drops
}

lacks_drops() {
    ! ask interfaces | field drops | grep -vqx 0
}

stop() {
    kill $agent
    wait $agent
    status=$?
    check "it stops with status 0 (it was $status)" [ $status = 0 ]
    check "its socket is gone" [ ! -e $run/portolan.sock ]
    check "no packet socket is left" [ "$(wc -l </proc/net/packet)" = 1 ]
    check "no card is left promiscuous" lacks PROMISC ip link
    check "no process is left" fails pidof portolan
    check "no panic was logged" fails grep -i -E 'panic|abort' $log
}

# What it wrote while it ran. The state that survives a restart is told: it is written when ordered.
written() {
    find / -xdev -newer /started -type f ! -path '/etc/portolan/*' >/tmp/written
    check "nothing is written but to memory" [ ! -s /tmp/written ]
    cat /tmp/written
    note "state: $(find /etc/portolan -type f | xargs -r ls -l)"
}

# ---- Past 2038-01-19T03:14:07 -------------------------------------------------------------------

rollover() {
    prepare
    start
    check "it captures on wan0" is_capturing wan0
    note "the agent's clock before: $(now_of)"
    check "the roll-over is still to come" [ "$(now_of)" -lt 2147483647 ]
    check "50 pings before it" pings 50 "$pc" 198.51.100.2
    check "their flow" flow_has wan0 icmp 198.51.100.2 tx_pkt 50
    first=$(ask flows dev=wan0 proto=icmp host=198.51.100.2 | field first)
    check "the agent's clock passes it" is_past
    check "the agent lives" kill -0 $agent
    check "50 pings behind it" pings 50 "$pc" 198.51.100.2
    check "the same flow, or another" seen_behind
    note "flow: $(ask flows dev=wan0 proto=icmp host=198.51.100.2) (began $first)"
    check "the time of the last packet" stamp_behind last_packet
    check "uptime counts on" [ "$(ask status | field uptime)" -lt 600 ]
    check "dates over HTTP are of 2038" says '"ConnectTime":"2038-01-19T03:1' \
        wget -q -O - http://127.0.0.1:8082/api/status
    ip link set dummy0 down
    ip link set dummy0 name dummy7
    check "a change of the map has its time" changed_behind
    check "a recording" portolan ctl -k $key w session start wan0 icmp file=late count=10
    check "it has its ring" says '"state":"open"' ask sessions
    check "5 pings for it" pings 5 "$pc" 198.51.100.2
    check "stamps in the file" recorded_behind
    portolan capture -i wan0 -q --count 10 -w /tmp/late.pcapng icmp &
    capture=$!
    check "a session of live packets" says '"state":"open"' ask sessions
    check "5 more pings" pings 5 "$pc" 198.51.100.2
    check "the stream is whole and ends" gone $capture
    check "uses of std's clock by the command line" portolan read --json /tmp/late.pcapng
    configure lan1
    kill -HUP $agent
    check "another interface after SIGHUP" is_capturing lan1
    stop
}

now_of() {
    ask timestamps | field now
}

is_past() {
    [ "$(now_of)" -gt 2147483648 ]
}

stamp_behind() {
    stamp=$(ask timestamps | field "$1")
    echo "$stamp"
    [ "$stamp" -gt 2147483647 ] && [ "$stamp" -lt 2147484647 ]
}

seen_behind() {
    ask flows dev=wan0 proto=icmp host=198.51.100.2 | tee /tmp/said | field last |
        grep -qE '^21474(8365|836[6-9]|83[7-9]|84[0-6])' && return
    cat /tmp/said
    return 1
}

changed_behind() {
    portolan query --json "G.V().Has('Name','dummy7')" | tee /tmp/said | field UpdatedAt |
        grep -qE '^2147(48364[89]|48365|4836[6-9]|483[7-9]|484[0-6])[0-9]*$' && return
    cat /tmp/said
    return 1
}

recorded_behind() {
    portolan read --json /tmp/packets/late | tee /tmp/said | field last_seen_at |
        grep -qE '^214748[34][0-9]{6}$' && return
    cat /tmp/said
    return 1
}

# How long five starts take until they answer, on a machine whose clock counts instructions.
begin() {
    prepare
    for round in 1 2 3 4 5; do
        began=$(hundredths)
        portolan -c $conf 2>$log &
        agent=$!
        # Without a pause, which would be in the time; one that never answers meets the machine's limit.
        until ask status | grep -q '"uptime"'; do :; done
        note "start $round: first answer after $(($(hundredths) - began))0 ms of a nanosecond each instruction"
        kill $agent
        check "it ends" gone $agent
    done
    began=$(hundredths)
    ask status >/dev/null
    note "asking once, with nobody there: $(($(hundredths) - began))0 ms"
}

network
case $part in
router) router ;;
rollover) rollover ;;
begin) begin ;;
*) echo "inside: what is \"$part\"?" && exit 2 ;;
esac
echo "$passed passed, $failed failed"
if [ $failed -gt 0 ]; then
    echo "--- what the agent logged"
    tail -n 40 $log
fi
kill "$pc" "$far"
[ $failed = 0 ]
