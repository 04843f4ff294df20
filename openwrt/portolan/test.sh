#!/bin/sh
# Run in the feed's CI as `test.sh PACKAGE VERSION`.
case "$1" in
portolan | portolan-mini)
	portolan --version | grep -F "$2" &&
		portolan --check-config &&
		/usr/libexec/rpcd/portolan list | grep -q '"status"'
	;;
esac
