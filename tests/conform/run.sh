#!/usr/bin/env bash
# Runs Redis 7.0.15's own test suite (Tcl) against coreshard. See README.md beside this file.
#
#   tests/conform/run.sh [options] [unit ...]
#
#   --server PATH     the server to test; a redis-server or valkey-server gets no flags of ours
#                     (default: the release, quick or debug build, whichever is newest)
#   --engine NAME     handed to coreshard as --engine
#   --threads N       handed to coreshard as --threads (default 2)
#   --no-skips        ignore skiplist.txt, and say at the end which of its tests pass
#   --list-failures   print the failed tests in the form of skiplist.txt
#   --keep            leave the folder of the run (logs of server and suite) and say where it is
#   unit ...          only these files of the list below, e.g. unit/expire
#
# Ends with "N passed, N failed, N skipped" and fails when a test did, when a file did not come to its
# end, or when a line of skiplist.txt names no test.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
. "$repo/tests/support/server.sh"

# The file, how it runs, and the seconds it may take. `external` points the suite at one running server.
# `own` lets the suite start servers itself, where the tests want to or run in no other way.
readonly UNITS="
unit/type/string      external 240
unit/type/incr        external 60
unit/type/list        external 240
unit/type/list-2      external 120
unit/type/list-3      external 240
unit/type/set         external 120
unit/type/zset        external 240
unit/type/hash        external 90
unit/type/stream      external 180
unit/type/stream-cgroups external 120
unit/bitops           external 120
unit/bitfield         external 60
unit/hyperloglog      external 240
unit/geo              external 240
unit/sort             external 120
unit/keyspace         external 90
unit/expire           external 150
unit/scan             external 120
unit/multi            external 120
unit/scripting        external 240
unit/functions        external 120
unit/dump             external 90
unit/protocol         external 120
unit/querybuf         external 60
unit/pubsub           external 120
unit/pubsubshard      external 60
unit/tracking         external 120
unit/pause            external 60
unit/introspection    external 90
unit/introspection-2  external 90
unit/info-command     external 60
unit/slowlog          external 60
unit/latency-monitor  external 60
unit/lazyfree         external 60
unit/quit             external 60
unit/other            external 120
unit/obuf-limits      own      120
unit/info             own      90
unit/limits           own      60
unit/maxmemory        own      300
unit/memefficiency    own      240
integration/rdb       own      120
unit/aofrw            own      240
integration/aof       own      240
integration/corrupt-dump own   120
integration/corrupt-dump-fuzzer own 90
integration/convert-ziplist-hash-on-load own 30
integration/convert-ziplist-zset-on-load own 30
integration/convert-zipmap-hash-on-load own 30
"

server='' engine='' threads=2 skips=yes list_failures=no keep=no wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --server) server=$2 && shift 2 ;;
    --engine) engine=$2 && shift 2 ;;
    --threads) threads=$2 && shift 2 ;;
    --no-skips) skips=no && shift ;;
    --list-failures) list_failures=yes && shift ;;
    --keep) keep=yes && shift ;;
    -*) echo "unknown option $1" >&2 && exit 2 ;;
    *) wanted+=("${1#tests/}") && shift ;;
    esac
done

server=${server:-$(newest_build || true)}
[ -x "$server" ] || { echo "no server to test: build one or name it with --server" >&2; exit 2; }
server=$(realpath --no-symlinks "$server")
case $(basename "$server") in
*redis* | *valkey*) flavour=redis ;;
*) flavour=coreshard ;;
esac
for program in tclsh redis-cli redis-benchmark; do
    command -v "$program" >/dev/null || { echo "$program is needed (apt-get install redis-tools tcl)" >&2; exit 2; }
done

cache=${CORESHARD_CONFORM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coreshard/conform}
forget_variables
begin_run

# --- the suite ------------------------------------------------------------------------------------

# Redis's source is not ours to ship: Debian's source package is fetched once into a cache.
fetch_suite() {
    if [ -d "$cache/redis/tests/unit" ]; then return; fi
    echo "fetching the source package of redis"
    local apt=$run/apt
    mkdir -p "$apt/lists/partial" "$apt/sources" "$cache"
    # The system's own package sources, with their source packages; the system's files stay as they are.
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        if [ -f "$file" ]; then
            sed -n -E 's/^deb(-src)?[[:space:]]/deb-src /p' "$file" | sort -u >"$apt/sources/$(basename "$file" .list).list"
        fi
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        if [ -f "$file" ]; then
            sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$apt/sources/$(basename "$file")"
        fi
    done
    local options=(-q -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$apt/sources"
        -o "Dir::State::Lists=$apt/lists" -o "APT::Sandbox::User=")
    (
        cd "$apt"
        apt-get "${options[@]}" update >apt.log 2>&1 &&
            apt-get "${options[@]}" source --download-only redis >>apt.log 2>&1 &&
            dpkg-source --extract redis_*.dsc redis >>apt.log 2>&1
    ) || { cat "$apt/apt.log" >&2; exit 2; }
    rm -rf "$cache/redis" && mv "$apt/redis" "$cache/redis"
}

# The suite writes into its own folder, so each run has a copy.
prepare_suite() {
    fetch_suite
    version=$(sed -n 's/.*REDIS_VERSION "\(.*\)".*/\1/p' "$cache/redis/src/version.h")
    [ "$version" = 7.0.15 ] || echo "note: this is the suite of Redis $version, the list of skips is for 7.0.15"
    mkdir -p "$run/suite/src"
    cp -r "$cache/redis/tests" "$cache/redis/runtest" "$run/suite/"
    rm -rf "$run/suite/tests/tmp" && mkdir "$run/suite/tests/tmp"
    for program in redis-cli redis-benchmark redis-check-aof redis-check-rdb; do
        if command -v "$program" >/dev/null; then ln -s "$(command -v "$program")" "$run/suite/src/"; fi
    done
    # What the suite starts in `own` mode. It knows by its pid in the log that a server is up.
    cat >"$run/suite/src/redis-server" <<WRAPPER
#!/bin/sh
exec "$server" "\$@" $(own_flags)
WRAPPER
    chmod +x "$run/suite/src/redis-server"
    # How Redis words in its log what is wrong with a payload is its own; that it is refused is what counts.
    sed -i -e '/verify_log_message 0 "\*.*\(integrity check failed\|already has a consumer\|Duplicate stream\)/d' \
        -e '/count_log_message 0 "listpack with dup/d' \
        "$run/suite/tests/integration/corrupt-dump.tcl"
}

own_flags() {
    if [ $flavour = coreshard ]; then
        echo "--threads $threads${engine:+ --engine $engine}"
    fi
}

# --- the server ------------------------------------------------------------------------------------

# With the flags with which Redis's own CI runs external mode.
start_server() {
    # shellcheck disable=SC2046
    launch "$1" "$server" --save "" --enable-protected-configs yes --enable-debug-command yes \
        --enable-module-command yes $(own_flags)
}

# --- the skip list ---------------------------------------------------------------------------------

# Lines of skiplist.txt that hold for unit $1, without reasons: "[unit]" opens a unit's lines, those
# before the first hold everywhere.
skiplist_of() {
    awk -v unit="$1" '
        /^#/ || /^[[:space:]]*$/ { next }
        /^\[.*\]$/ { section = substr($0, 2, length($0) - 2); next }
        section == "" || section == unit {
            at = 0
            while ((i = index(substr($0, at + 1), " # ")) > 0) at += i
            line = substr($0, 1, at); sub(/[[:space:]]+$/, "", line); print line
        }' "$here/skiplist.txt"
}
tags_of() { skiplist_of "$1" | sed -n 's/^tag:/-/p' | tr '\n' ' '; }
tests_of() { skiplist_of "$1" | grep -v '^tag:' || true; }

# --- the run ---------------------------------------------------------------------------------------

passed=0 failed=0 skipped=0 broken=0
run_unit() {
    local unit=$1 mode=$2 seconds=$3
    local name=${unit//\//-}
    local log=$run/$name.log server_log=$run/$name.server.log args=() tags="" start=$EPOCHREALTIME status=0
    tests_of "$unit" >"$run/$name.skips"
    if [ "$skips" = yes ]; then
        args+=(--skipfile "$run/$name.skips")
        tags=$(tags_of "$unit")
    fi
    if [ -n "$tags" ]; then args+=(--tags "$tags"); fi
    if [ "$mode" = external ]; then
        start_server "$server_log"
        args+=(--host 127.0.0.1 --port "$port")
    fi
    (
        cd "$run/suite"
        exec timeout -k 5 "$seconds" ./runtest --single "$unit" --clients 1 --durable \
            --baseport $((25000 + RANDOM % 1000)) --portcount 500 "${args[@]}"
    ) >"$log.raw" 2>&1 || status=$?
    stop_server
    sed 's/\x1b\[[0-9;]*m//g' "$log.raw" >"$log"
    local elapsed
    elapsed=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')

    local ok err skip
    ok=$(grep -c '^\[ok\]: ' "$log" || true)
    err=$(grep -c '^\[err\]: ' "$log" || true)
    skip=$(grep -c -E '^\[(skip|ignore)\]: ' "$log" || true)
    local remark=""
    if ! grep -q 'done\]: '"$unit" "$log"; then
        remark=" - NOT FINISHED (exit $status)"
        err=$((err + 1))
    fi
    printf '%-40s %-8s %4d passed %4d failed %4d skipped %7ss%s\n' \
        "$unit" "$mode" "$ok" "$err" "$skip" "$elapsed" "$remark"
    passed=$((passed + ok)) failed=$((failed + err)) skipped=$((skipped + skip))

    if [ "$list_failures" = yes ]; then
        if [ "$err" -gt 0 ]; then
            echo "[$unit]"
            sed -n -E 's/^\[err\]: (.*) in tests\/[a-z]*\/.*\.tcl$/\1 # why?/p' "$log"
        fi
    elif [ "$err" -gt 0 ]; then
        # The failures with what follows them up to the next verdict; then the end of an unfinished run.
        awk '/^\[err\]: / { on = 1 } on && /^\[/ && !/^\[err\]: / { on = 0 } /^ +The End/ { exit } on { print "    " $0 }' \
            "$log" | cut -c1-400 | head -200
        if [ -n "$remark" ]; then tail -8 "$log" | sed 's/^/    /'; fi
        if [ -s "$server_log" ]; then
            grep -a -i -E 'panic|assert|signal|crash' "$server_log" | head -5 | sed 's/^/    server: /' || true
        fi
    fi

    # A skip that skips nothing is a lie; without skips, one whose test passes has become needless.
    local verdict
    if [ "$skips" = yes ]; then
        if [ -z "$remark" ]; then
            section_of "$unit" | while IFS= read -r test; do
                grep -q -F -x -e "[skip]: $test" "$log" || echo "    skiplist.txt names no test of $unit: $test"
            done >"$run/stale"
            broken=$((broken + $(wc -l <"$run/stale")))
            cat "$run/stale"
        fi
    else
        while IFS= read -r test; do
            verdict=$(grep -a -F -e "[ok]: $test (" "$log" || true)
            if [ -n "$verdict" ]; then echo "    passes, but skiplist.txt names it: $test"; fi
        done <"$run/$name.skips"
    fi
}

# The tests that the unit's own section names.
section_of() {
    diff <(skiplist_of "") <(skiplist_of "$1") | sed -n 's/^> //p' | grep -v '^tag:' || true
}

if grep -n -v -E '^#|^[[:space:]]*$|^\[.*\]$| # .' "$here/skiplist.txt"; then
    echo "skiplist.txt: these lines give no reason" >&2
    exit 2
fi
prepare_suite
echo "the suite of Redis $version against $(basename "$server")"
while read -r unit mode seconds; do
    if [ -n "$unit" ] && is_wanted "$unit"; then run_unit "$unit" "$mode" "$seconds" </dev/null; fi
done <<<"$UNITS"
if [ $broken -gt 0 ]; then echo "$broken lines of skiplist.txt name no test"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $broken = 0 ]
