# What the runs of other people's tests share: which server they are for, and its start and end. Read by
# ../clients/run.sh and ../conform/run.sh, which say what they are given in `repo`, `keep` and `wanted`.

# The binary that cargo built last.
newest_build() {
    local target=${CARGO_TARGET_DIR:-$repo/target}
    # shellcheck disable=SC2012 # the names are known
    ls -t "$target"/{release,quick,debug}/coreshard 2>/dev/null | head -1
}

# The server takes directives from such variables; those of a run are not for it.
forget_variables() {
    local variable
    for variable in "${!CORESHARD_@}"; do unset "$variable"; done
}

# Makes the folder of the run, which goes when the run ends, and the server with it.
begin_run() {
    run=$(mktemp -d)
    server_pid=
    trap end_run EXIT
}

end_run() {
    stop_server
    if [ "$keep" = yes ]; then echo "logs: $run"; else rm -rf "$run"; fi
}

free_port() {
    local port=$((24000 + RANDOM % 900))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

# Does the server answer PING?
answers() {
    local line
    (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'PING\r\n' >&3 && read -r -t 2 line <&3 && [ "${line%$'\r'}" = +PONG ]) \
        2>/dev/null
}

# launch LOG BINARY [flag ...]: starts a server on a free port, with a folder of its own, and waits until it answers.
launch() {
    local log=$1 binary=$2 tries=300
    shift 2
    port=$(free_port)
    mkdir -p "$run/data"
    "$binary" --port "$port" --bind 127.0.0.1 --dir "$run/data" "$@" >"$log" 2>&1 &
    server_pid=$!
    until answers; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $server_pid 2>/dev/null; then
            echo "the server does not start:" >&2 && tail -20 "$log" >&2 && exit 2
        fi
        sleep 0.1
    done
}

stop_server() {
    if [ -n "$server_pid" ]; then
        kill -9 "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        server_pid=
        rm -rf "$run/data"
    fi
}

# Was it named on the command line, or nothing at all?
is_wanted() {
    [ ${#wanted[@]} = 0 ] && return
    local name
    for name in "${wanted[@]}"; do if [ "$name" = "$1" ]; then return; fi; done
    return 1
}
