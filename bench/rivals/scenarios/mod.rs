//! What is compared. Each scenario is one file with one public function.

mod across;
mod cores;
mod cpu;
mod equal;
mod expiry;
mod log;
mod memory;
mod publish;
mod remote;
mod snapshot;
mod stall;
mod startup;
mod traffic;
mod type_memory;
mod type_stall;
mod types;
mod watch;

use std::io;

use crate::lineup::Lineup;
use crate::options::Options;
use crate::report::Recorder;
use crate::server::Rival;

/// What a scenario is given.
pub struct Bench {
    pub options: Options,
    pub recorder: Recorder,
}

pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&mut Bench) -> io::Result<()>,
}

pub const ALL: [Scenario; 16] = [
    Scenario { name: "cpu", about: "server CPU per operation on one core, GET SET and 1:10", run: cpu::cpu },
    Scenario { name: "multi", about: "the same for MSET and MGET of 10 keys", run: cpu::multi },
    Scenario { name: "cores", about: "two shards and the load on the same two cores", run: cores::run },
    Scenario { name: "remote", about: "CPU cost of an operation on another core's key", run: remote::run },
    Scenario { name: "memory", about: "resident bytes per key, TTL, churn", run: memory::run },
    Scenario {
        name: "stall",
        about: "worst stall during growth, FLUSHALL, UNLINK, eviction",
        run: stall::run,
    },
    Scenario { name: "expiry", about: "how late keys are deleted after their deadline", run: expiry::run },
    Scenario {
        name: "startup",
        about: "time to first PONG, CPU of 1,000 idle connections",
        run: startup::run,
    },
    Scenario { name: "types", about: "server CPU per operation of every data type", run: types::run },
    Scenario {
        name: "type-memory",
        about: "resident bytes per element of every data type",
        run: type_memory::run,
    },
    Scenario {
        name: "type-stall",
        about: "worst stall while large collections are read, copied, sorted, deleted",
        run: type_stall::run,
    },
    Scenario {
        name: "publish",
        about: "server CPU per delivered message, 1 to 1,000 subscribers",
        run: publish::run,
    },
    Scenario { name: "log", about: "SET with each appendfsync, and without a log", run: log::run },
    Scenario {
        name: "snapshot",
        about: "BGSAVE under writes: memory, stalls, throughput, time",
        run: snapshot::run,
    },
    Scenario { name: "loading", about: "how fast an RDB file is loaded", run: snapshot::loading },
    Scenario { name: "equal", about: "p99 and p99.9 at equal offered load", run: equal::run },
];

impl Bench {
    /// Every rival, with one shard, on the server's CPU.
    fn on_one_core(&mut self) -> io::Result<Lineup> {
        let cpus = [self.options.server_cpu];
        self.lineup(1, &cpus)
    }

    fn both_cpus(&self) -> [usize; 2] {
        [self.options.server_cpu, self.options.load_cpu]
    }

    fn lineup(&mut self, threads: usize, cpus: &[usize]) -> io::Result<Lineup> {
        let Options { rivals, port, .. } = &self.options;
        Lineup::start(rivals, *port, threads, cpus, &mut self.recorder)
    }
}

/// One server alone, just started, on the server's CPU.
fn fresh(rival: &Rival, options: &Options, recorder: &mut Recorder) -> io::Result<Lineup> {
    let cpus = [options.server_cpu];
    let lineup = Lineup::start(std::slice::from_ref(rival), options.port, 1, &cpus, recorder)?;
    lineup.servers()[0].resume();
    Ok(lineup)
}
