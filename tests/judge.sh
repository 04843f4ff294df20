#!/bin/bash
# What nDPI's reference table says of its own captures beside what we say: judge.sh PROGRAM [OPTIONS]
# of ../shared/tools/dpi_judge.py. Says so and goes where these are not.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:?which program}
shift
captures=../shared/pcaps/ndpi
judge=../shared/tools/dpi_judge.py
if [ ! -e "$judge" ] || [ ! -e "$captures/flows.tsv" ]; then
    echo "judge.sh: SKIPPED: no $judge or $captures"
    exit
fi
exec python3 "$judge" --run "$program read --json {pcap}" "$captures" "$captures/flows.tsv" "$@"
