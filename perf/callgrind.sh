#!/usr/bin/env bash
# Instructions per request, counted by callgrind: the one figure that a busy machine cannot blur.
#
#   perf/callgrind.sh [get|set|...] [-- server command with {port}]
#   PIPELINES="1 16 64" REQUESTS=100000 TOP=15 ENGINE=epoll perf/callgrind.sh get
#   perf/callgrind.sh get -- redis-server --port {port} --save '' --appendonly no
#
# Counted: user-space instructions of the server while the load runs, divided by requests. Not
# counted: the kernel's, and start and fill (counting is switched on only for the load). The slow
# server is always saturated, so at P=1 a turn of its loop serves most of the connections; compare
# servers with each other, not with a trace of a lightly loaded one.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

OPERATION="get"
if [ $# -gt 0 ] && [ "$1" != -- ]; then OPERATION=$1; shift; fi
if [ "${1:-}" = -- ]; then shift; fi
PIPELINES=${PIPELINES:-"1 16 64"}
REQUESTS=${REQUESTS:-100000}
TOP=${TOP:-15}

need valgrind callgrind_control callgrind_annotate redis-cli redis-benchmark awk
set_server "$@"
prepare_out

echo "server: ${SERVER[*]}"
echo "load:   $OPERATION, $REQUESTS requests, $CLIENTS connections, $KEYS keys of $VALUE_BYTES bytes"
for pipeline in $PIPELINES; do
  profile=$OUT/callgrind.$OPERATION.P$pipeline
  rm -f "$profile" "$profile".*
  start_server valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$profile" --dump-instr=no
  fill
  load "$OPERATION" 1000 "$pipeline" # first-use work: buffers, lazy binding
  callgrind_control -i on "$SERVER_PID" >/dev/null 2>&1 || die "callgrind_control cannot reach the server (ptrace forbidden?)"
  load "$OPERATION" "$REQUESTS" "$pipeline"
  callgrind_control -i off "$SERVER_PID" >/dev/null 2>&1
  stop_server
  instructions=$(awk '/^(totals|summary):/ { if ($2 > most) most = $2 } END { print most + 0 }' "$profile")
  [ "$instructions" -gt 0 ] || die "callgrind left no counts in $profile"
  awk -v count="$instructions" -v requests="$REQUESTS" -v pipeline="$pipeline" -v operation="$OPERATION" \
    'BEGIN { printf "\n%s P=%d: %.0f instructions per request\n", operation, pipeline, count / requests }'
  callgrind_annotate "$profile" 2>/dev/null | awk -v top="$TOP" -v requests="$REQUESTS" '
    /^-+$/ { next }
    $1 ~ /^[0-9,]+$/ && /\(/ && !/PROGRAM TOTALS/ {
      count = $1; gsub(/,/, "", count)
      line = $0; sub(/^ *[0-9,]+ *\([^)]*\) */, "", line); sub(/ \[.*$/, "", line)
      sub(/^[^ ]*\/|^\?\?\?:/, "", line)
      printf "  %8.1f  %s\n", count / requests, substr(line, 1, 100)
      if (++shown == top) exit
    }'
done
[ "$OUT" = "$SCRATCH" ] || echo "profiles kept in $OUT (kcachegrind opens them)"
