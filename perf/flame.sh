#!/usr/bin/env bash
# A flame graph of the server under load, as one SVG file.
#
#   OUT=/tmp/flame perf/flame.sh [get|set|...] [-- server command with {port}]
#   PID=1234 SECONDS_RECORDED=10 OUT=/tmp/flame perf/flame.sh     # a server that runs already
#   PIPELINE=16 CALL_GRAPH=dwarf perf/flame.sh get
#
# Samples the `cycles` counter where there is one, else the `cpu-clock` timer (virtual machines).
# Frame pointers are the default; CALL_GRAPH=dwarf needs none but writes much more.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

OPERATION="get"
if [ $# -gt 0 ] && [ "$1" != -- ]; then OPERATION=$1; shift; fi
if [ "${1:-}" = -- ]; then shift; fi
PIPELINE=${PIPELINE:-1}
SECONDS_RECORDED=${SECONDS_RECORDED:-5}
CALL_GRAPH=${CALL_GRAPH:-fp}
FREQUENCY=${FREQUENCY:-997}
OUT=${OUT:-flame.out}

need perf python3
prepare_out
if [ -z "${PID:-}" ]; then
  need redis-cli redis-benchmark awk
  set_server "$@"
  start_server env
  fill
  # More requests than fit in the time; stopped by its id afterwards.
  redis-benchmark -p "$PORT" -t "$OPERATION" -n 1000000000 -P "$PIPELINE" -c "$CLIENTS" -r "$KEYS" \
    -d "$VALUE_BYTES" -q >/dev/null 2>&1 &
  EXTRA_PIDS+=("$!")
  PID=$SERVER_PID
fi

event=cpu-clock
if perf stat -e cycles:u -x, true 2>&1 | grep -q '^[0-9][0-9]*,'; then event=cycles; fi
data=$OUT/perf.data
perf record -q -F "$FREQUENCY" -e "$event" --call-graph "$CALL_GRAPH" -p "$PID" -o "$data" -- \
  sleep "$SECONDS_RECORDED" 2>"$OUT/record.log" ||
  die "perf record failed: $(tail -1 "$OUT/record.log") (kernel.perf_event_paranoid?)"
perf script -i "$data" 2>/dev/null | python3 "$HERE/fold.py" --title "$OPERATION P=$PIPELINE, $event" \
  --folded "$OUT/stacks.folded" --svg "$OUT/flame.svg" || die "no samples"
echo "$OUT/flame.svg  $OUT/stacks.folded"
