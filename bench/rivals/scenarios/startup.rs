//! Time from starting the process to its first PONG, and what idle connections cost.

use std::io;
use std::time::Duration;

use super::Bench;
use crate::cpu;
use crate::lineup::Lineup;
use crate::report;
use crate::server::Running;
use crate::wire::Client;

const IDLE_CONNECTIONS: usize = 1000;
/// What a server does about new connections is not idling.
const SETTLING: Duration = Duration::from_secs(1);

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    let Bench { options, recorder } = bench;
    let cpus = [options.server_cpu];
    for round in 0..options.rounds {
        for rival in &rivals {
            let one = std::slice::from_ref(rival);
            let Ok(lineup) = Lineup::start(one, options.port, 1, &cpus, recorder) else {
                continue;
            };
            let running = &lineup.servers()[0];
            let startup_ms = running.startup.as_secs_f64() * 1e3;
            recorder.record("startup", "empty data set", &rival.name, round, report::STARTUP, startup_ms)?;
            if round < options.heavy_rounds {
                running.resume();
                match idle_percent(running, options.idle_window) {
                    Ok(percent) => {
                        recorder.record(
                            "startup",
                            "one shard",
                            &rival.name,
                            round,
                            report::IDLE_CPU,
                            percent,
                        )?;
                    }
                    Err(error) => recorder.note(format!("startup: {} idle: {error}", rival.name)),
                }
            }
        }
    }
    Ok(())
}

fn idle_percent(running: &Running, window: Duration) -> io::Result<f64> {
    let clients: Vec<Client> = (0..IDLE_CONNECTIONS)
        .map(|_| {
            let mut client = running.client()?;
            client.must(&["PING"])?;
            Ok(client)
        })
        .collect::<io::Result<_>>()?;
    std::thread::sleep(SETTLING);
    let before = cpu::of_process(running.pid())?;
    std::thread::sleep(window);
    let used = cpu::of_process(running.pid())?.since(before);
    drop(clients);
    Ok(used.total_ns as f64 / window.as_nanos() as f64 * 100.0)
}
