#!/bin/bash
# Fuzzes each dissector alone: dissectors.sh [SECONDS [NAME...]], NAME as in src/detect/protocol.rs.
# Starts from all seeds. Needs a nightly toolchain and cargo-fuzz. Ends with the first crash.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
[ $# = 0 ] || shift
if [ $# = 0 ]; then
    mapfile -t names < <(sed -nE 's/^    [A-Z0-9_]+ = [0-9]+, "([^"]+)".*/\1/p' src/detect/protocol.rs)
else
    names=("$@")
fi
mkdir -p tests/fuzz/corpus/dissectors
for name in "${names[@]}"; do
    echo "== $name"
    DISSECTOR=$name cargo +nightly fuzz run --fuzz-dir tests/fuzz dissectors \
        tests/fuzz/corpus/dissectors tests/fuzz/seeds/dissectors -- \
        -max_total_time="$seconds" -max_len=4096 2>&1 | grep -E "^Done|ERROR|panicked|SUMMARY" || exit 1
done
