#!/usr/bin/env bash
# Looks at a Linux host with a latency-sensitive coreshard in mind and says what is off.
#
#   tuning/check-host.sh                 report; changes nothing, needs no privilege
#   tuning/check-host.sh --apply         also set what can be set back (as root), and say how
#   tuning/check-host.sh --nic eth0      check that interface (else: the one with the default route)
#   tuning/check-host.sh --json          one JSON object per line instead of text
#
# Every line is OK, WARN (worth changing), NOTE (a matter of taste or of the workload) or SKIP (this
# host does not have it or does not show it). Exit status: 0, or 1 with --strict if anything warned.
# tuning/README.md says what each item is worth. ROOT=/some/tree looks at another tree's /proc and /sys.
set -u

ROOT=${ROOT:-}
APPLY=0 JSON=0 STRICT=0 NIC=
WARNINGS=0
UNDO=()

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }

while [ $# -gt 0 ]; do
  case $1 in
    --apply) APPLY=1 ;;
    --json) JSON=1 ;;
    --strict) STRICT=1 ;;
    --nic) [ $# -ge 2 ] || { echo "--nic needs a name" >&2; exit 2; }; NIC=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

json_text() { printf '%s' "$1" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g'; }

# report <OK|WARN|NOTE|SKIP|DONE|FAIL> <item> <text>
report() {
  [ "$1" = WARN ] && WARNINGS=$((WARNINGS + 1))
  if [ "$JSON" = 1 ]; then
    printf '{"level":"%s","item":"%s","text":"%s"}\n' "$1" "$(json_text "$2")" "$(json_text "$3")"
  else
    printf '%-5s %-24s %s\n' "$1" "$2" "$3"
  fi
}

# First line of a file, empty if it cannot be read.
value_of() { local line=; { IFS= read -r line <"$ROOT$1"; } 2>/dev/null; printf '%s' "$line"; }

# The chosen word of "always [madvise] never".
chosen() { value_of "$1" | sed -n 's/.*\[\(.*\)\].*/\1/p'; }

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; *) return 0 ;; esac; }

# set_file <item> <file> <new> [<old>]: writes it with --apply and remembers how to undo.
set_file() {
  [ "$APPLY" = 1 ] || return 0
  local old=${4:-$(value_of "$2")}
  if { printf '%s\n' "$3" >"$ROOT$2"; } 2>/dev/null; then
    report DONE "$1" "$2: $old -> $3 (until the next boot)"
    UNDO+=("echo '$old' > $2")
  else
    report FAIL "$1" "$2 could not be written; run as root, outside of a container"
  fi
}

# at_least <item> <file> <minimum> <why>
at_least() {
  local now; now=$(value_of "$2")
  if ! is_number "$now"; then report SKIP "$1" "$2 is not there"; return; fi
  if [ "$now" -ge "$3" ]; then report OK "$1" "$now"; return; fi
  report WARN "$1" "$now, want $3 or more: $4"
  set_file "$1" "$2" "$3"
}

check_overcommit() {
  local now; now=$(value_of /proc/sys/vm/overcommit_memory)
  case $now in
    '') report SKIP vm.overcommit_memory "not there" ;;
    2)
      report WARN vm.overcommit_memory "2: big reservations that are never touched (rings, table directories) may be refused"
      set_file vm.overcommit_memory /proc/sys/vm/overcommit_memory 1 ;;
    1) report OK vm.overcommit_memory 1 ;;
    *) report OK vm.overcommit_memory "$now (coreshard does not fork to save, so it does not need 1; Redis beside it does)" ;;
  esac
}

check_hugepages() {
  local now defrag; now=$(chosen /sys/kernel/mm/transparent_hugepage/enabled)
  case $now in
    '') report SKIP transparent_hugepage "not there" ;;
    always)
      report WARN transparent_hugepage "always: memory grows and faults take long where memory is touched sparsely; want madvise"
      set_file transparent_hugepage /sys/kernel/mm/transparent_hugepage/enabled madvise always ;;
    *) report OK transparent_hugepage "$now" ;;
  esac
  defrag=$(chosen /sys/kernel/mm/transparent_hugepage/defrag)
  case $defrag in
    '') report SKIP thp.defrag "not there" ;;
    always)
      report WARN thp.defrag "always: a page fault may stop to compact memory for milliseconds; want madvise or defer+madvise"
      set_file thp.defrag /sys/kernel/mm/transparent_hugepage/defrag defer+madvise always ;;
    *) report OK thp.defrag "$defrag" ;;
  esac
}

check_swap() {
  local swappiness devices; swappiness=$(value_of /proc/sys/vm/swappiness)
  devices=$(tail -n +2 "$ROOT/proc/swaps" 2>/dev/null | wc -l)
  if [ "$devices" -eq 0 ]; then report OK swap "no swap device"; return; fi
  if ! is_number "$swappiness"; then report SKIP swap "vm.swappiness is not there"; return; fi
  if [ "$swappiness" -le 1 ]; then report OK swap "on, vm.swappiness $swappiness"; return; fi
  report WARN swap "on with vm.swappiness $swappiness: cold keys are swapped out and a read of one stalls its shard; want 1"
  set_file swap /proc/sys/vm/swappiness 1
}

check_numa() {
  local now nodes; now=$(value_of /proc/sys/kernel/numa_balancing)
  nodes=$(find "$ROOT/sys/devices/system/node" -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | wc -l)
  if [ "$nodes" -le 1 ]; then report OK numa "one node"; return; fi
  case $now in
    1 | 2 | 3)
      report WARN numa_balancing "$now on $nodes nodes: the kernel unmaps pages to see who uses them; shards are pinned and touch their own memory, so it only costs faults"
      set_file numa_balancing /proc/sys/kernel/numa_balancing 0 ;;
    0) report OK numa_balancing "off on $nodes nodes" ;;
    *) report SKIP numa_balancing "not there" ;;
  esac
}

check_governor() {
  local file governor bad=0 seen=0 files=()
  for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
    [ -r "$file" ] || continue
    file=${file#"$ROOT"}
    seen=$((seen + 1)); governor=$(value_of "$file")
    [ "$governor" = performance ] || { bad=$((bad + 1)); files+=("$file"); }
  done
  if [ "$seen" -eq 0 ]; then report SKIP cpu.governor "no frequency control here (virtual machine?)"; return; fi
  if [ "$bad" -eq 0 ]; then report OK cpu.governor "performance on $seen CPUs"; return; fi
  report WARN cpu.governor "$bad of $seen CPUs are not on performance (${files[0]}: $(value_of "${files[0]}")): the first requests after a pause run slow"
  for file in "${files[@]}"; do set_file cpu.governor "$file" performance; done
}

check_idle_states() {
  local state name latency last='' deep=0
  for state in "$ROOT"/sys/devices/system/cpu/cpu0/cpuidle/state[0-9]*; do
    [ -r "$state/latency" ] || continue
    state=${state#"$ROOT"}
    latency=$(value_of "$state/latency"); name=$(value_of "$state/name")
    is_number "$latency" || continue
    if [ "$latency" -gt 50 ] && [ "$(value_of "$state/disable")" != 1 ]; then deep=$((deep + 1)); last="$name, ${latency} us"; fi
  done
  if [ ! -d "$ROOT/sys/devices/system/cpu/cpu0/cpuidle" ]; then report SKIP cpu.idle "no idle states shown (virtual machine?)"; return; fi
  if [ "$deep" -eq 0 ]; then report OK cpu.idle "no idle state takes more than 50 us to leave"; return; fi
  report NOTE cpu.idle "$deep deep idle states ($last to wake): adds to the latency of a lightly loaded server; see README"
}

check_smt() {
  case $(value_of /sys/devices/system/cpu/smt/active) in
    1) report NOTE cpu.smt "on: two shards on one physical core share its caches; coreshard fills physical cores first" ;;
    0) report OK cpu.smt "off" ;;
    *) report SKIP cpu.smt "not shown" ;;
  esac
}

check_isolation() {
  local isolated nohz; isolated=$(value_of /sys/devices/system/cpu/isolated); nohz=$(value_of /sys/devices/system/cpu/nohz_full)
  case $nohz in *[0-9]*) ;; *) nohz=none ;; esac
  report NOTE cpu.isolation "isolated CPUs: ${isolated:-none}; nohz_full: $nohz (worth it only for the last microseconds of p99.9)"
}

check_clocksource() {
  local now; now=$(value_of /sys/devices/system/clocksource/clocksource0/current_clocksource)
  case $now in
    '') report SKIP clocksource "not shown" ;;
    tsc | kvm-clock | hyperv_clocksource_tsc_page | arch_sys_counter) report OK clocksource "$now" ;;
    *) report WARN clocksource "$now: every reading of the clock is a system call; see why the kernel gave up tsc (dmesg | grep -i tsc)" ;;
  esac
}

check_io_uring() {
  local now; now=$(value_of /proc/sys/kernel/io_uring_disabled)
  case $now in
    '') if [ -d "$ROOT/proc/sys/kernel" ]; then report OK io_uring "no kernel switch against it (a seccomp filter may still forbid it)"; else report SKIP io_uring "/proc/sys is not there"; fi ;;
    0) report OK io_uring "allowed (a seccomp filter may still forbid it)" ;;
    *) report WARN io_uring "kernel.io_uring_disabled=$now: the server falls back to epoll; changing it is a decision about this host's security, so --apply leaves it" ;;
  esac
  local release major minor; release=$(value_of /proc/sys/kernel/osrelease)
  major=${release%%.*}; minor=${release#*.}; minor=${minor%%[!0-9]*}
  if ! is_number "$major" || ! is_number "$minor"; then report SKIP kernel "release unknown"; return; fi
  if [ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -ge 1 ]; }; then report OK kernel "$release"
  else report WARN kernel "$release: multishot receive and deferred task work came with 6.0 and 6.1; older kernels get fewer features or epoll"; fi
}

check_seccomp() {
  local mode; mode=$(sed -n 's/^Seccomp:[[:space:]]*//p' "$ROOT/proc/self/status" 2>/dev/null)
  case $mode in
    0) report OK seccomp "no filter on this shell" ;;
    2) report NOTE seccomp "this shell runs under a filter (a container?); with Docker's default profile the engine is epoll, with seccomp-io_uring.json io_uring" ;;
    *) report SKIP seccomp "not shown" ;;
  esac
}

# check_ulimit <item> <name in /proc/self/limits> <minimum> <why>
check_ulimit() {
  local soft hard line
  line=$(grep "^$2" "$ROOT/proc/self/limits" 2>/dev/null | sed "s/^$2 *//")
  read -r soft hard _ <<<"$line"
  if [ -z "${hard:-}" ]; then report SKIP "$1" "not shown"; return; fi
  if [ "$hard" = unlimited ] || { is_number "$hard" && [ "$hard" -ge "$3" ]; }; then
    report OK "$1" "soft $soft, hard $hard (the server raises the soft limit itself)"
  else
    report WARN "$1" "hard limit $hard, want $3: $4 (limits.conf, LimitNOFILE/LimitMEMLOCK of the unit, or docker --ulimit)"
  fi
}

check_cpu_quota() {
  local group now; group=$(sed -n 's/^0:://p' "$ROOT/proc/self/cgroup" 2>/dev/null)
  now=$(value_of "/sys/fs/cgroup${group%/}/cpu.max")
  [ -n "$now" ] || now=$(value_of /sys/fs/cgroup/cpu.max)
  case $now in
    '') report SKIP cgroup.cpu "no cgroup v2 quota shown" ;;
    max*) report OK cgroup.cpu "no quota" ;;
    *) report NOTE cgroup.cpu "cpu.max $now: a quota throttles in slices of its period, which shows as stalls of tens of milliseconds; whole, exclusive CPUs (cpuset) do not" ;;
  esac
}

default_nic() {
  # Destination 00000000 is the default route.
  awk '$2 == "00000000" { print $1; exit }' "$ROOT/proc/net/route" 2>/dev/null
}

check_nic() {
  [ -n "$NIC" ] || NIC=$(default_nic)
  if [ -z "$NIC" ] || [ ! -d "$ROOT/sys/class/net/$NIC" ]; then report SKIP nic "no interface with a default route; name one with --nic"; return; fi
  local queues=0 queue cpus irqs irq spread; cpus=$(grep -c '^processor' "$ROOT/proc/cpuinfo" 2>/dev/null)
  for queue in "$ROOT/sys/class/net/$NIC/queues"/rx-*; do [ -d "$queue" ] && queues=$((queues + 1)); done
  if [ "$queues" -ge "${cpus:-1}" ]; then report OK nic.queues "$NIC: $queues receive queues for $cpus CPUs"
  else report NOTE nic.queues "$NIC: $queues receive queues for ${cpus:-?} CPUs (ethtool -L $NIC combined N, as far as the card allows)"; fi
  # Which CPUs take its interrupts, and does one take them all?
  irqs=$(ls "$ROOT/sys/class/net/$NIC/device/msi_irqs" 2>/dev/null)
  [ -n "$irqs" ] || irqs=$(grep -E "[ -]$NIC([^0-9]|\$)" "$ROOT/proc/interrupts" 2>/dev/null | sed -n 's/^ *\([0-9]*\):.*/\1/p')
  if [ -n "$irqs" ]; then
    spread=$(for irq in $irqs; do value_of "/proc/irq/$irq/effective_affinity_list"; echo; done | grep -v '^$' | sort -u | wc -l)
    if [ "$spread" -gt 1 ] || [ "$queues" -le 1 ]; then report OK nic.irq "$NIC: interrupts on $spread CPU(s)"
    else report WARN nic.irq "$NIC: all interrupts go to one CPU; spread them over the shards' CPUs (README, NIC)"; fi
  else
    report SKIP nic.irq "$NIC: its interrupts are not shown"
  fi
  if [ "$queues" -lt "${cpus:-1}" ] && [ -e "$ROOT/sys/class/net/$NIC/queues/rx-0/rps_cpus" ]; then
    if value_of "/sys/class/net/$NIC/queues/rx-0/rps_cpus" | grep -q '[1-9a-f]'; then report OK nic.rps "$NIC: on"
    else report NOTE nic.rps "$NIC: off, with fewer queues than CPUs; under load RPS spreads the protocol work (README, NIC)"; fi
  fi
}

check_conntrack() {
  local max; max=$(value_of /proc/sys/net/netfilter/nf_conntrack_max)
  if ! is_number "$max"; then report OK conntrack "not loaded"; return; fi
  report NOTE conntrack "loaded, $max entries: every packet pays for it, and a full table drops new connections"
}

[ "$JSON" = 1 ] || echo "host: $(value_of /proc/sys/kernel/hostname), Linux $(value_of /proc/sys/kernel/osrelease)"
check_io_uring
check_seccomp
check_cpu_quota
check_ulimit ulimit.nofile 'Max open files' 10032 "10,000 clients and 32 descriptors of the server's own"
check_ulimit ulimit.memlock 'Max locked memory' 8388608 "kernels before 5.12 charge io_uring's rings to it"
check_overcommit
check_hugepages
check_swap
check_numa
check_governor
check_idle_states
check_smt
check_isolation
check_clocksource
at_least net.core.somaxconn /proc/sys/net/core/somaxconn 1024 "the accept queue cannot be longer than this, whatever tcp-backlog says"
at_least net.tcp_max_syn_backlog /proc/sys/net/ipv4/tcp_max_syn_backlog 1024 "a burst of connections is answered with retries"
case $(value_of /proc/sys/net/ipv4/tcp_slow_start_after_idle) in
  '') report SKIP tcp.slow_start_idle "not there" ;;
  0) report OK tcp.slow_start_idle 0 ;;
  *)
    report NOTE tcp.slow_start_idle "1: big replies on a connection that was idle start slowly; 0 helps across a network, not on loopback"
    ;;
esac
busy=$(value_of /proc/sys/net/core/busy_read)
case $busy in
  '') report SKIP net.busy_read "not there" ;;
  0) report NOTE net.busy_read "0: busy polling of the card is off; 50 trades CPU for some microseconds (README)" ;;
  *) report NOTE net.busy_read "$busy us: on" ;;
esac
check_nic
check_conntrack

if [ "$APPLY" = 1 ] && [ "$JSON" = 0 ]; then
  echo
  if [ "${#UNDO[@]}" -eq 0 ]; then echo "nothing was changed"
  else echo "to undo (as root):"; printf '  %s\n' "${UNDO[@]}"; fi
elif [ "$JSON" = 0 ]; then
  echo
  echo "$WARNINGS warning(s). --apply sets what can be set back; tuning/README.md says what each is worth."
fi
[ "$STRICT" = 1 ] && [ "$WARNINGS" -gt 0 ] && exit 1
exit 0
