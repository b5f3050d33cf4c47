#!/usr/bin/env bash
# System calls per request, counted by strace while a bounded load runs.
#
#   perf/syscalls.sh [get|set|...] [-- server command with {port}]
#   PIPELINES="1 16" REQUESTS=50000 perf/syscalls.sh get
#   perf/syscalls.sh get -- redis-server --port {port} --save '' --appendonly no
#
# strace makes every call some microseconds dearer, so the server is saturated and batches more
# than it would otherwise: read the figure as "calls per request under full load".
set -u
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

OPERATION="get"
if [ $# -gt 0 ] && [ "$1" != -- ]; then OPERATION=$1; shift; fi
if [ "${1:-}" = -- ]; then shift; fi
PIPELINES=${PIPELINES:-"1 16 64"}
REQUESTS=${REQUESTS:-50000}

need strace redis-cli redis-benchmark awk
set_server "$@"
prepare_out

echo "server: ${SERVER[*]}"
echo "load:   $OPERATION, $REQUESTS requests, $CLIENTS connections"
start_server env
fill
for pipeline in $PIPELINES; do
  counts=$OUT/syscalls.$OPERATION.P$pipeline
  attached=$OUT/strace.log
  : >"$attached"
  strace -f -c -U name,calls,errors -o "$counts" -p "$SERVER_PID" 2>"$attached" &
  tracer=$!
  EXTRA_PIDS+=("$tracer")
  tries=0
  until grep -q attached "$attached"; do
    kill -0 "$tracer" 2>/dev/null || die "strace cannot attach: $(tail -1 "$attached")"
    tries=$((tries + 1)); [ "$tries" -lt 100 ] || die "strace did not attach"
    sleep 0.1
  done
  load "$OPERATION" "$REQUESTS" "$pipeline"
  kill -INT "$tracer"; wait "$tracer" 2>/dev/null
  EXTRA_PIDS=()
  awk -v requests="$REQUESTS" -v pipeline="$pipeline" -v operation="$OPERATION" '
    $2 ~ /^[0-9]+$/ && $1 != "total" { name[++count] = $1; calls[count] = $2; sum += $2 }
    END {
      printf "\n%s P=%d: %.4f system calls per request\n", operation, pipeline, sum / requests
      for (i = 1; i <= count; i++)
        if (calls[i] * 2000 >= sum) printf "  %8.4f  %s\n", calls[i] / requests, name[i]
    }' "$counts"
done
