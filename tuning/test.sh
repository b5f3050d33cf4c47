#!/usr/bin/env bash
# Checks that what lies in this folder is well formed and runs. Changes nothing on the host.
#
#   tuning/test.sh [-- server command with {port}]
#
# With a server command, or a release build, it also checks that the seccomp profile allows every call
# the server makes under a short load (by strace), and that the server runs with the profile in force.
# Tools that are not installed are skipped, and named.
# shellcheck disable=SC2317 # functions are called by name, through check
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE" || exit 1
PORT=${PORT:-7392}
FAILED=0
SCRATCH=$(mktemp -d)
TRACED=
finish() {
  [ -n "$TRACED" ] && kill "$TRACED" 2>/dev/null
  rm -rf "$SCRATCH"
}
trap finish EXIT

# check <what> <command...>
check() {
  local what=$1
  shift
  if "$@" >"$SCRATCH/out" 2>&1; then echo "ok    $what"; else
    echo "FAIL  $what"
    sed 's/^/      /' "$SCRATCH/out" | head -20
    FAILED=1
  fi
}
skip() { echo "skip  $1"; }
has() { command -v "$1" >/dev/null 2>&1; }

if has shellcheck; then check "shellcheck" shellcheck -x -P ../perf ./*.sh ../perf/*.sh; else skip "shellcheck is not installed"; fi

# The report runs here, and on a host that shows nothing at all.
check "check-host.sh" ./check-host.sh
check "check-host.sh on an empty host" env ROOT="$SCRATCH/empty" ./check-host.sh
check "check-host.sh --json" bash -c './check-host.sh --json | python3 -c "import json,sys; [json.loads(line) for line in sys.stdin]"'
unknown_option() { ! ./check-host.sh --no-such-option; }
check "check-host.sh refuses what it does not know" unknown_option

# A host on which everything is off: it warns, applies to the copy, and is then content.
bad_host() {
  local root=$SCRATCH/bad file
  for file in proc/sys/vm proc/sys/kernel proc/sys/net/core proc/sys/net/ipv4 proc/self \
    sys/kernel/mm/transparent_hugepage sys/devices/system/node/node0 sys/devices/system/node/node1 \
    sys/devices/system/cpu/cpu0/cpufreq; do mkdir -p "$root/$file"; done
  echo 2 >"$root/proc/sys/vm/overcommit_memory"
  echo 60 >"$root/proc/sys/vm/swappiness"
  printf 'Filename Type\n/swap file\n' >"$root/proc/swaps"
  echo 1 >"$root/proc/sys/kernel/numa_balancing"
  echo 128 >"$root/proc/sys/net/core/somaxconn"
  echo 128 >"$root/proc/sys/net/ipv4/tcp_max_syn_backlog"
  echo '[always] madvise never' >"$root/sys/kernel/mm/transparent_hugepage/enabled"
  echo powersave >"$root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
  echo 'Max open files            1024                 4096                 files' >"$root/proc/self/limits"
  ROOT=$root ./check-host.sh >"$SCRATCH/before" || return 1
  local item
  for item in vm.overcommit_memory swap numa_balancing net.core.somaxconn net.tcp_max_syn_backlog \
    transparent_hugepage cpu.governor ulimit.nofile; do
    grep -q "^WARN  *$item " "$SCRATCH/before" || { echo "no warning about $item"; return 1; }
  done
  if ROOT=$root ./check-host.sh --strict >/dev/null; then echo "--strict did not fail"; return 1; fi
  [ "$(cat "$root/proc/sys/vm/swappiness")" = 60 ] || { echo "the report changed something"; return 1; }
  ROOT=$root ./check-host.sh --apply >"$SCRATCH/applied" || return 1
  grep -q "echo '60' > /proc/sys/vm/swappiness" "$SCRATCH/applied" || { echo "no word on how to undo"; return 1; }
  [ "$(cat "$root/proc/sys/vm/swappiness")" = 1 ] && [ "$(cat "$root/proc/sys/net/core/somaxconn")" = 1024 ] &&
    [ "$(cat "$root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")" = performance ]
}
check "check-host.sh warns, applies and says how to undo" bad_host

check "seccomp profile parses and allows io_uring" python3 - <<'PY'
import json
profile = json.load(open("seccomp-io_uring.json"))
allowed = {n for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for n in rule["names"]}
assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
assert {"io_uring_setup", "io_uring_enter", "io_uring_register"} <= allowed
assert not allowed & {"ptrace", "mount", "bpf", "kexec_load", "init_module", "unshare", "setns", "clone3"}
PY

if python3 -c 'import yaml' 2>/dev/null; then
  check "Kubernetes manifests parse and belong together" python3 - <<'PY'
import glob, os, yaml
for kustomization in glob.glob("kubernetes/*/kustomization.yaml"):
    folder = os.path.dirname(kustomization)
    text = yaml.safe_load(open(kustomization))
    for name in text["resources"] + [patch["path"] for patch in text.get("patches", [])]:
        assert os.path.exists(os.path.join(folder, name)), name
base = [d for f in glob.glob("kubernetes/base/*.yaml") for d in yaml.safe_load_all(open(f))]
kinds = {}
for document in base:
    kinds.setdefault(document["kind"], []).append(document)
pod = kinds["StatefulSet"][0]["spec"]["template"]["spec"]
container = pod["containers"][0]
ports = {port["name"] for port in container["ports"]}
assert all(p["targetPort"] in ports for s in kinds["Service"] for p in s["spec"]["ports"])
assert {container[p]["httpGet"]["port"] for p in ("startupProbe", "readinessProbe", "livenessProbe")} <= ports
assert kinds["StatefulSet"][0]["spec"]["serviceName"] in {s["metadata"]["name"] for s in kinds["Service"]}
assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
assert pod["enableServiceLinks"] is False
patch = yaml.safe_load(open("kubernetes/io-uring/seccomp.yaml"))
assert patch["metadata"]["name"] == kinds["StatefulSet"][0]["metadata"]["name"]
assert patch["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]["type"] == "Localhost"
PY
else skip "python3 has no yaml"; fi

if has kubectl; then
  check "kustomize builds base" kubectl kustomize kubernetes/base
  overlay() { kubectl kustomize kubernetes/io-uring >"$SCRATCH/overlay" && grep -q 'type: Localhost' "$SCRATCH/overlay"; }
  check "kustomize builds io-uring" overlay
else skip "kubectl is not installed"; fi

if has systemd-analyze; then
  # The program is not installed where the unit expects it while testing.
  sed 's#^ExecStart=/usr/local/bin/coreshard#ExecStart=/bin/true#' coreshard.service >"$SCRATCH/coreshard.service"
  check "unit" systemd-analyze verify --man=no "$SCRATCH/coreshard.service"
else skip "systemd-analyze is not installed"; fi

[ "${1:-}" = -- ] && shift
if [ $# -eq 0 ] && [ -x "${CARGO_TARGET_DIR:-../target}/release/coreshard" ]; then
  set -- "${CARGO_TARGET_DIR:-../target}/release/coreshard" --port '{port}' --save ''
fi
answers() {
  local tries=0
  until [ "$(redis-cli -p "$PORT" ping 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { tail -3 "$SCRATCH/server.log"; return 1; }
    sleep 0.1
  done
}
profile_covers_server() {
  strace -f -qq -o "$SCRATCH/trace" "$@" >"$SCRATCH/server.log" 2>&1 &
  TRACED=$!
  answers || return 1
  redis-benchmark -p "$PORT" -t set,get -n 2000 -P 4 -q >/dev/null || return 1
  redis-cli -p "$PORT" shutdown nosave >/dev/null 2>&1
  wait "$TRACED"
  TRACED=
  python3 - "$SCRATCH/trace" <<'PY'
import json, re, sys
known = {n for rule in json.load(open("seccomp-io_uring.json"))["syscalls"] for n in rule["names"]}
used = set(re.findall(r"^\d+\s+(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", open(sys.argv[1], errors="replace").read(), re.M))
assert len(used) > 10, used
missing = used - known
print(len(used), "calls used")
assert not missing, f"not allowed by the profile: {sorted(missing)}"
PY
}
runs_under_profile() {
  ./with-seccomp.py ./seccomp-io_uring.json -- "$@" >"$SCRATCH/server.log" 2>&1 &
  TRACED=$!
  answers && redis-benchmark -p "$PORT" -t set,get -n 20000 -P 4 -q >/dev/null || return 1
  redis-cli -p "$PORT" shutdown nosave >/dev/null 2>&1
  wait "$TRACED" || { tail -3 "$SCRATCH/server.log"; return 1; }
  TRACED=
}
if [ $# -gt 0 ] && has redis-benchmark; then
  if has strace; then
    check "seccomp profile allows every call the server made" profile_covers_server "${@//\{port\}/$PORT}"
  else skip "strace is not installed"; fi
  if [ -e /proc/self/status ] && python3 -c 'import ctypes; ctypes.CDLL("libseccomp.so.2")' 2>/dev/null; then
    check "the server runs under the seccomp profile" runs_under_profile "${@//\{port\}/$PORT}"
  else skip "no libseccomp.so.2"; fi
else skip "no server to try (or no redis-benchmark)"; fi

exit $FAILED
