//! Two cores that wake each other, with nothing but mail to do.

use std::time::{Duration, Instant};

use super::support::{PATIENCE, Running, Stage};
use crate::runtime::engine::{self, Wanted};
use crate::runtime::face::{Closed, ConnId, Handler, NetIo, Socket, Turn};
use crate::runtime::mesh::{self, Port, Received};

const ROUNDS: u32 = 100_000;

struct Ball {
    stage: Stage,
    port: Port<u32>,
    served: bool,
}

impl Handler for Ball {
    fn accepted(&mut self, _io: &mut dyn NetIo, _socket: Socket) {}
    fn received(&mut self, _io: &mut dyn NetIo, _conn: ConnId, _bytes: &[u8]) {}
    fn sent(&mut self, _io: &mut dyn NetIo, _conn: ConnId) {}
    fn closed(&mut self, _io: &mut dyn NetIo, _conn: ConnId, _why: Closed) {}

    fn turn(&mut self, io: &mut dyn NetIo) -> Turn {
        let other = 1 - self.port.me();
        let ball = match self.port.receive() {
            Received::Batch { body, .. } => Some(body),
            // Serving from one side only keeps a single ball in play.
            _ if !self.served && self.port.me() == 0 => Some(0),
            _ => None,
        };
        self.served = true;
        if let Some(count) = ball {
            if count == ROUNDS {
                self.stage.stop.store(true, std::sync::atomic::Ordering::SeqCst);
                self.stage.waker.wake_all();
            } else {
                self.port.send(other, count + 1);
                self.port.publish();
                io.wake(other);
            }
        }
        // Never busy: every arrival has to end a sleep, or be noticed on the way into one.
        Turn { stop: self.stage.stopped(), ..Turn::default() }
    }

    fn has_mail(&mut self) -> bool {
        self.port.has_mail()
    }

    fn background(&mut self, _io: &mut dyn NetIo, _budget: Duration) -> bool {
        false
    }
}

#[test]
fn a_hundred_thousand_wake_ups_are_all_heard() {
    for wanted in [Wanted::Auto, Wanted::Epoll] {
        let choice = engine::probe(wanted);
        let ports = std::sync::Mutex::new(mesh::mesh(2).into_iter().map(Some).collect::<Vec<_>>());
        let server = Running::start(&choice, 2, move |core, stage| Ball {
            stage,
            port: ports.lock().unwrap()[core].take().unwrap(),
            served: false,
        });
        let began = Instant::now();
        while !server.stage.stopped() {
            assert!(began.elapsed() < 10 * PATIENCE, "a wake-up was lost");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        eprintln!("{:?}: {} ns per wake-up", choice.kind, began.elapsed().as_nanos() / u128::from(ROUNDS));
    }
}
