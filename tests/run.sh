#!/bin/bash
# Starts the agent on this machine's interfaces and says what to try next: run.sh BINARY [OPTIONS]
# Besides its own socket it answers on Netify's path, so that scripts made for that one work as
# they are; not if a Netify agent is there already.
set -euo pipefail

binary=$1
shift
own=/var/run/portolan/portolan.sock
netify=/var/run/netifyd/netifyd.sock
sockets=(--socket "$own")
if ! pgrep -x netifyd >/dev/null 2>&1; then
    sockets+=(--socket "$netify")
fi

cat <<EOF

Portolan starts now; Ctrl-C stops it. In another terminal${SUDO:+ (as root, or with sudo before nc -NU)}:

  echo '{"command": "status"}' | nc -NU $own         how it is doing
  echo '{"command": "list-flows"}' | nc -NU $own     who talks to whom
  echo '{"command": "top"}' | nc -NU $own            who moves most
  echo r 1 help | nc -w1 -u 127.0.0.1 5644           the management port
  $binary ctl top of=port                            the same without nc
  $binary query "G.V().Has('Type', 'bridge').Out()"    the map: namespaces, interfaces, links
  curl -s -H 'Content-Type: application/json' -d '{"GremlinQuery": "G.V().Count()"}' 127.0.0.1:8082/api/topology
  $binary read FILE.pcap                             flows of a capture file

EOF
# $SUDO is empty for root.
exec ${SUDO:-} "$binary" "${sockets[@]}" "$@"
