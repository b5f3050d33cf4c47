# shellcheck shell=bash
# Sourced by the scripts beside it: starts a server, fills it, loads it, stops it.
#
# The server command comes after `--` on the script's command line, with {port} for the port; without
# one it is the release build of this repository with one shard. Whatever is started is stopped by
# its process id on every way out.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PORT=${PORT:-7391}
KEYS=${KEYS:-10000}        # distinct keys, all present
VALUE_BYTES=${VALUE_BYTES:-64}
CLIENTS=${CLIENTS:-50}
OUT=${OUT:-}               # folder for what a script leaves behind; a scratch folder if empty

SERVER_PID=
SERVER_LOG=
EXTRA_PIDS=()

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || die "needs $tool (Debian: valgrind, strace, linux-perf, redis-tools)"
  done
}

# Fills SERVER from the arguments after `--`, or with the default.
set_server() {
  if [ $# -gt 0 ]; then
    SERVER=("$@")
  else
    local binary=${CARGO_TARGET_DIR:-$HERE/../target}/release/coreshard
    [ -x "$binary" ] || die "no $binary: run cargo build --release, or name a server after --"
    SERVER=("$binary" --port '{port}' --threads 1 --engine "${ENGINE:-auto}" --save '')
  fi
  SERVER=("${SERVER[@]//\{port\}/$PORT}")
}

cleanup() {
  local pid
  for pid in "${EXTRA_PIDS[@]}" $SERVER_PID; do
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  done
  [ -n "${SCRATCH:-}" ] && rm -rf "$SCRATCH"
  return 0
}

prepare_out() {
  SCRATCH=$(mktemp -d)
  [ -n "$OUT" ] || OUT=$SCRATCH
  mkdir -p "$OUT"
  OUT=$(cd "$OUT" && pwd)
  trap cleanup EXIT
  trap 'exit 130' INT TERM
}

ping_server() { [ "$(redis-cli -p "$PORT" ping 2>/dev/null)" = PONG ]; }

# Starts SERVER, with the words given here in front of it, and waits until it answers.
start_server() {
  ping_server && die "something answers on port $PORT already; set PORT"
  SERVER_LOG=$OUT/server.log
  (cd "$SCRATCH" && exec "$@" "${SERVER[@]}") >"$SERVER_LOG" 2>&1 &
  SERVER_PID=$!
  local tries=0
  until ping_server; do
    kill -0 "$SERVER_PID" 2>/dev/null || { tail -5 "$SERVER_LOG" >&2; die "the server ended"; }
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || die "no answer on port $PORT within a minute"
    sleep 0.1
  done
}

# Stops the server as an operator would and waits for its end, so that tools write their files.
stop_server() {
  kill -TERM "$SERVER_PID" 2>/dev/null
  wait "$SERVER_PID" 2>/dev/null
  SERVER_PID=
}

# Every key that redis-benchmark -r KEYS will ask for exists, so that each GET is a hit.
fill() {
  awk -v keys="$KEYS" -v size="$VALUE_BYTES" 'BEGIN {
    value = sprintf("%*s", size, ""); gsub(/ /, "x", value)
    for (key = 0; key < keys; key++) printf "SET key:%012d %s\r\n", key, value
  }' | redis-cli -p "$PORT" --pipe >/dev/null || die "filling the server failed"
}

# load <operation> <requests> <pipeline>
load() {
  redis-benchmark -p "$PORT" -t "$1" -n "$2" -P "$3" -c "$CLIENTS" -r "$KEYS" -d "$VALUE_BYTES" -q >"$OUT/load.log" 2>&1 ||
    die "the load failed: $(tail -1 "$OUT/load.log")"
}
