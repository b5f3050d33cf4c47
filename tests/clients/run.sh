#!/usr/bin/env bash
# Runs client libraries and job queues, as their registries give them, against coreshard. See README.md
# beside this file.
#
#   tests/clients/run.sh [options] [name ...]
#
#   --server PATH     the server to test; a redis-server or valkey-server gets no flags of ours
#                     (default: the release, quick or debug build, whichever is newest)
#   --engine NAME     handed to coreshard as --engine
#   --threads N       handed to coreshard as --threads (default 2)
#   --budget SECONDS  begins no program later than this, and skips the rest (default: no limit)
#   --rate            instead: BullMQ's jobs per second on coreshard and on redis-server, medians of 3 runs
#   --keep            leave the folder of the run (logs of servers and programs) and say where it is
#   name ...          only these programs of the list below, e.g. bullmq redis_py
#
# Ends with "N passed, N failed, N skipped" and fails when a program did. A program whose packages cannot
# be installed is skipped, and that is said with its reason.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
. "$repo/tests/support/server.sh"

# The program, its language, and the seconds it may take.
readonly PROGRAMS="
bullmq          node   60
bullmq_rate     node   90
bull            node   60
ioredis         node   60
node_redis      node   60
socketio        node   60
redis_py        python 60
celery_tasks    python 60
rq_queue        python 60
dramatiq_actors python 60
sidekiq_queue   ruby   60
"

server='' engine='' threads=2 budget='' rate=no keep=no wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --server) server=$2 && shift 2 ;;
    --engine) engine=$2 && shift 2 ;;
    --threads) threads=$2 && shift 2 ;;
    --budget) budget=$2 && shift 2 ;;
    --rate) rate=yes && shift ;;
    --keep) keep=yes && shift ;;
    -*) echo "unknown option $1" >&2 && exit 2 ;;
    *) wanted+=("$1") && shift ;;
    esac
done
for name in "${wanted[@]}"; do
    grep -q "^$name " <<<"$PROGRAMS" || { echo "no program is called $name" >&2; exit 2; }
done

server=${server:-$(newest_build || true)}
[ -x "$server" ] || server=$(command -v "$server" || true)
[ -x "$server" ] || { echo "no server to test: build one or name it with --server" >&2; exit 2; }

cache=${CORESHARD_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coreshard/clients}
forget_variables
begin_run

# --- what the programs need -----------------------------------------------------------------------
export here

# Each leaves a line in $run/LANGUAGE.missing when there is nothing to run programs with. What a list of
# packages asks for is installed once into a folder of the cache named by its sum.
missing() { echo "$2" >"$run/$1.missing"; }
sum_of() { cat "$@" | sha256sum | cut -c1-16; }

# Runs an installation into the folder $1, which is there afterwards or not at all.
install_into() {
    local folder=$1 install=$2 log=$run/install.log
    rm -rf "$folder.part" && mkdir -p "$folder.part"
    if timeout -k 5 120 bash -c '"$0" "$1"' "$install" "$folder.part" >"$log" 2>&1; then
        mv "$folder.part" "$folder"
    else
        rm -rf "$folder.part"
        return 1
    fi
}
why() { grep -a -i -E 'err|refus|timed|not ' "$run/install.log" | tail -1 | cut -c1-200; }

npm_install() {
    cp "$here/node/package.json" "$here/node/package-lock.json" "$1/" &&
        (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries 1)
}
export -f npm_install
prepare_node() {
    command -v node >/dev/null && command -v npm >/dev/null || { missing node "there is no node with npm"; return; }
    local version folder
    version=$(node --version)
    if [ "$(cut -d. -f1 <<<"${version#v}")" -lt 20 ]; then missing node "node $version is older than 20"; return; fi
    folder=$cache/node-${version%%.*}-$(sum_of "$here"/node/package*.json)
    if [ ! -d "$folder" ]; then
        echo "installing node packages"
        install_into "$folder" npm_install || { missing node "npm could not install: $(why)"; return; }
    fi
    # Modules are looked for beside the program.
    mkdir "$run/node" && cp "$here"/node/*.mjs "$here/node/package.json" "$run/node/"
    ln -s "$folder/node_modules" "$run/node/node_modules"
    node_program=(node)
}

pip_install() {
    "$python" -m venv "$1" && "$1/bin/pip" install --retries 1 --disable-pip-version-check \
        -r "$here/python/requirements.txt"
}
export -f pip_install
prepare_python() {
    export python
    python=$(command -v python3 || true)
    [ -n "$python" ] || { missing python "there is no python3"; return; }
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { missing python "$("$python" --version) is older than 3.10"; return; }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || { missing python "python3 has no venv"; return; }
    local folder
    folder=$cache/python-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    folder=$folder-$(sum_of "$here/python/requirements.txt")
    if [ ! -d "$folder" ]; then
        echo "installing python packages"
        install_into "$folder" pip_install || { missing python "pip could not install: $(why)"; return; }
    fi
    cp -r "$here/python" "$run/python"
    # Not the scripts of the venv, which name the folder it was made in.
    python_program=("$folder/bin/python")
}

gem_install() {
    local name version
    while read -r name version; do
        gem install --no-document --install-dir "$1" "$name" --version "$version" || return
    done <"$here/ruby/gems.txt"
}
export -f gem_install
prepare_ruby() {
    command -v ruby >/dev/null || { missing ruby "there is no ruby"; return; }
    # The system's own package serves too.
    if ! ruby -e 'require "sidekiq"' 2>/dev/null; then
        local folder
        folder=$cache/ruby-$(ruby -e 'print RUBY_VERSION')-$(sum_of "$here/ruby/gems.txt")
        if [ ! -d "$folder" ]; then
            echo "installing gems"
            install_into "$folder" gem_install || { missing ruby "gem could not install: $(why)"; return; }
        fi
        export GEM_PATH=$folder PATH=$folder/bin:$PATH
    fi
    cp -r "$here/ruby" "$run/ruby"
    ruby_program=(ruby)
}

# --- the server -----------------------------------------------------------------------------------

# With its default settings, but for the port and where it writes.
start_server() {
    local binary=$1 log=$2 flags=()
    case $(basename "$binary") in
    *redis* | *valkey*) ;;
    *) flags=(--threads "$threads" ${engine:+--engine "$engine"}) ;;
    esac
    launch "$log" "$binary" "${flags[@]}"
}

# --- the run --------------------------------------------------------------------------------------

suffix_of() { case $1 in node) echo mjs ;; python) echo py ;; ruby) echo rb ;; esac; }

# Starts a program of a language on the server's port, with what else is given.
program() {
    local language=$1 name=$2 seconds=$3 command
    shift 3
    local -n command=${language}_program
    (cd "$run/$language" && exec timeout -k 5 "$seconds" "${command[@]}" "$name.$(suffix_of "$language")" "$port" "$@") \
        </dev/null
}

passed=0 failed=0 skipped=0
say() { printf '%-16s %-8s %s\n' "$@"; }

run_program() {
    local name=$1 language=$2 seconds=$3 start=$SECONDS status=0 log=$run/$1.log
    if [ -f "$run/$language.missing" ]; then
        say "$name" SKIPPED "$(cat "$run/$language.missing")"
        skipped=$((skipped + 1))
        return
    fi
    if [ -n "$budget" ] && [ "$SECONDS" -gt "$budget" ]; then
        say "$name" SKIPPED "the run has taken ${SECONDS}s already, and may take ${budget}s"
        skipped=$((skipped + 1))
        return
    fi
    start_server "$server" "$run/$name.server.log"
    program "$language" "$name" "$seconds" >"$log" 2>&1 || status=$?
    local complaint=''
    case $status in
    0) ;;
    124 | 137) complaint="not at its end after ${seconds}s" ;;
    *) complaint="exit $status" ;;
    esac
    if ! kill -0 "$server_pid" 2>/dev/null; then
        complaint="the server is gone"
    elif ! answers; then
        complaint=${complaint:-"the server does not answer any more"}
    elif grep -a -q -i 'panicked' "$run/$name.server.log"; then
        complaint="the server panicked"
    fi
    stop_server
    if [ -z "$complaint" ]; then
        say "$name" passed "$(grep -a -c '^ok ' "$log") cases, $((SECONDS - start))s"
        passed=$((passed + 1))
    else
        say "$name" FAILED "$complaint, after $((SECONDS - start))s"
        failed=$((failed + 1))
        tail -60 "$log" | cut -c1-300 | sed 's/^/    /'
        grep -a -v ' [*.-] ' "$run/$name.server.log" | tail -10 | cut -c1-300 | sed 's/^/    server: /' || true
    fi
}

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# Jobs per second of both servers, which take turns; server and workers share the machine.
compare_rates() {
    local round binary figure other
    other=$(command -v redis-server || true)
    [ ! -f "$run/node.missing" ] || { echo "no rates: $(cat "$run/node.missing")" >&2; exit 2; }
    for round in 1 2 3; do
        for binary in "$server" $other; do
            start_server "$binary" "$run/rate.server.log"
            program node bullmq_rate 300 --rate >"$run/rate.log" || { cat "$run/rate.log" >&2; exit 1; }
            stop_server
            sed -n "s|^rate |$(basename "$binary") |p" "$run/rate.log" >>"$run/rates"
        done
    done
    echo "jobs per second, median of $round"
    for binary in "$server" $other; do
        for figure in added processed both; do
            printf '%-14s %-10s %8s\n' "$(basename "$binary")" "$figure" \
                "$(awk -v b="$(basename "$binary")" -v f="$figure" '$1 == b && $2 == f { print $3 }' "$run/rates" | median)"
        done
    done
}

mkdir -p "$cache"
if [ "$rate" = yes ]; then
    prepare_node
    compare_rates
    exit
fi
for language in node python ruby; do
    while read -r name of _; do
        if [ "$of" = $language ] && is_wanted "$name"; then prepare_$language && break; fi
    done <<<"$PROGRAMS"
done
echo "clients against $(basename "$server")"
while read -r name language seconds; do
    if [ -n "$name" ] && is_wanted "$name"; then run_program "$name" "$language" "$seconds"; fi
done <<<"$PROGRAMS"
if [ $skipped -gt 0 ]; then echo "NOT TRIED: $skipped programs; the lines above say why"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
