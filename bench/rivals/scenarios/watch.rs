//! Something heavy, with the prober watching: what the stall scenarios have in common.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::prober;
use crate::report::{self, Recorder};
use crate::server::Running;
use crate::wire::Client;

/// Background freeing is watched at least so long after the command has been answered.
pub const AFTERMATH: Duration = Duration::from_secs(1);
const AFTERMATH_MAX: Duration = Duration::from_secs(20);

/// The prober is at work for so long before the heavy command, and goes on after it: quick work must
/// not be over before the first probe, nor a stall it leaves behind come after the last one.
const MARGIN: Duration = Duration::from_millis(50);

pub struct Watch<'a> {
    pub scenario: &'static str,
    pub options: &'a Options,
    pub recorder: &'a mut Recorder,
    pub running: &'a Running,
    pub round: usize,
}

impl Watch<'_> {
    /// The row that says what the machine itself does: the same server with nothing heavy to do.
    pub fn control(&mut self) -> io::Result<()> {
        self.probed("idle (the control)", |_| {
            thread::sleep(AFTERMATH);
            Ok(())
        })
    }

    /// Runs `work` with the prober watching, and records what it saw.
    pub fn probed(&mut self, row: &str, work: impl FnOnce(&mut Client) -> io::Result<()>) -> io::Result<()> {
        let mut client = self.running.client()?;
        let prober = prober::start(self.running.port, self.running.pid(), self.options.load_cpu, &["PING"])?;
        thread::sleep(MARGIN);
        let started = Instant::now();
        let worked = work(&mut client);
        let took = started.elapsed();
        thread::sleep(MARGIN);
        let stall = prober.finish()?;
        worked?;
        if stall.probes() == 0 {
            return Err(io::Error::other("the prober sent nothing"));
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        let figures = [
            (report::SERVER_WORST, ms(stall.server_ns.max())),
            (report::SERVER_P999, ms(stall.server_ns.value_at_quantile(0.999))),
            (report::SEEN_WORST, ms(stall.seen_ns.max())),
            (report::SEEN_P999, ms(stall.seen_ns.value_at_quantile(0.999))),
            (report::DURATION, took.as_secs_f64()),
        ];
        for (metric, value) in figures {
            self.recorder.record(self.scenario, row, &self.running.name, self.round, metric, value)?;
        }
        Ok(())
    }
}

/// Until INFO says that nothing waits to be freed; a server that does not say gets a fixed time.
pub fn wait_for_freeing(client: &mut Client) -> io::Result<()> {
    let started = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(50));
        let info = client.call(&["INFO", "memory"])?.text();
        let pending = info.lines().find_map(|line| line.strip_prefix("lazyfree_pending_objects:"));
        let done = pending.is_none_or(|count| count.trim() == "0") && started.elapsed() > AFTERMATH;
        if done || started.elapsed() > AFTERMATH_MAX {
            return Ok(());
        }
    }
}
