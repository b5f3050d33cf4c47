//! The servers of one scenario, side by side, and the order in which they take their turns.
//!
//! All of them are up at the same time and all but the measured one are stopped (SIGSTOP), so they
//! can follow one another within seconds without disturbing each other. Every second round runs
//! backwards: slow drift of the machine then hits each of them alike.

use std::io;

use crate::report::Recorder;
use crate::server::{Launch, Rival, Running};

pub struct Lineup {
    servers: Vec<Running>,
}

impl Lineup {
    /// Starts every rival that will start; the others are noted and left out.
    pub fn start(
        rivals: &[Rival],
        first_port: u16,
        threads: usize,
        cpus: &[usize],
        recorder: &mut Recorder,
    ) -> io::Result<Lineup> {
        let mut servers = Vec::new();
        for (port, rival) in (first_port..).zip(rivals) {
            let launch = Launch { port, threads, cpus: cpus.to_vec(), data: None };
            match rival.start(&launch) {
                Ok(running) => {
                    running.pause();
                    servers.push(running);
                }
                Err(error) => recorder.note(format!("{} left out: {error}", rival.name)),
            }
        }
        if servers.is_empty() {
            return Err(io::Error::other("no server started"));
        }
        Ok(Lineup { servers })
    }

    pub fn servers(&self) -> &[Running] {
        &self.servers
    }

    /// Runs `work` once on every server with the others stopped. A server that fails is noted and
    /// leaves the lineup.
    pub fn each(
        &mut self,
        recorder: &mut Recorder,
        mut work: impl FnMut(&Running, &mut Recorder) -> io::Result<()>,
    ) {
        self.one_round(0, recorder, &mut work);
    }

    /// The same, `rounds` times, in alternating order; `work` is told the round.
    pub fn rounds(
        &mut self,
        rounds: usize,
        recorder: &mut Recorder,
        mut work: impl FnMut(&Running, usize, &mut Recorder) -> io::Result<()>,
    ) {
        for round in 0..rounds {
            self.one_round(round, recorder, &mut |running, recorder| work(running, round, recorder));
        }
    }

    fn one_round(
        &mut self,
        round: usize,
        recorder: &mut Recorder,
        work: &mut dyn FnMut(&Running, &mut Recorder) -> io::Result<()>,
    ) {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut failed = Vec::new();
        for index in order {
            let running = &self.servers[index];
            running.resume();
            let result = work(running, recorder);
            running.pause();
            if let Err(error) = result {
                recorder.note(format!("{} left out from here on: {error}", running.name));
                failed.push(running.name.clone());
            }
        }
        self.servers.retain(|running| !failed.contains(&running.name));
    }
}
