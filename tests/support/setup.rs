//! The ways in which a wire case runs: each protocol, keys on one shard and on several.

use super::client::{Client, Protocol};
use super::server::{Options, Server, ServerKind};
use super::value::{Value, ok};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards of the server on which keys may live apart.
const MANY_SHARDS: usize = 3;

/// One server per number of shards for all cases of a binary; a case holds its lock.
static ONE_SHARD: Mutex<Option<Server>> = Mutex::new(None);
static SEVERAL_SHARDS: Mutex<Option<Server>> = Mutex::new(None);

/// Where the keys of a case live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// There is one shard.
    Only,
    /// Several shards; keys as they come.
    Several,
    /// Several shards; `key` gives keys of one hash tag.
    Together,
    /// Several shards; `key` gives each next key to the next shard.
    Apart,
}

impl Placement {
    fn shards(self) -> usize {
        if self == Placement::Only { 1 } else { MANY_SHARDS }
    }
}

/// What a case gets: an empty server, a protocol, and keys.
pub struct Setup<'s> {
    server: &'s Server,
    protocol: Protocol,
    placement: Placement,
    keys: RefCell<BTreeMap<String, String>>,
    next_shard: Cell<usize>,
    changed: RefCell<Vec<(String, String)>>,
}

/// Runs the case for RESP2 and RESP3, each with one shard and with three.
#[track_caller]
pub fn each_setup(case: impl Fn(&Setup)) {
    run(&[Placement::Only, Placement::Several], &case);
}

/// Runs the case for RESP2 and RESP3, each with the keys of [`Setup::key`] on the only shard, on one
/// of three and on all of three.
#[track_caller]
pub fn each_placement(case: impl Fn(&Setup)) {
    run(&[Placement::Only, Placement::Together, Placement::Apart], &case);
}

/// Runs the case for RESP2 and RESP3, each with a server of its own that it may configure, disturb
/// or stop: `options` gets the number of shards, one and three.
#[track_caller]
pub fn with_server(options: impl Fn(usize) -> Options, case: impl Fn(&Setup)) {
    for placement in [Placement::Only, Placement::Several] {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let server = Server::start_with(&options(placement.shards()));
            run_once(&server, protocol, placement, &case);
        }
    }
}

fn run(placements: &[Placement], case: &dyn Fn(&Setup)) {
    for placement in placements {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let server = shared_server(placement.shards());
            let server = server.as_ref().expect("shared_server has started one");
            Client::connect(server.address(), Protocol::Resp2).expect("FLUSHALL", ok());
            run_once(server, protocol, *placement, case);
        }
    }
}

fn shared_server(threads: usize) -> MutexGuard<'static, Option<Server>> {
    let shared = if threads == 1 { &ONE_SHARD } else { &SEVERAL_SHARDS };
    // A case that failed has unwound through the lock; the server may be as good as before.
    let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if guard.as_mut().is_none_or(|server| server.exit_status().is_some()) {
        *guard = Some(Server::start(threads));
    }
    guard
}

fn run_once(server: &Server, protocol: Protocol, placement: Placement, case: &dyn Fn(&Setup)) {
    let setup = Setup {
        server,
        protocol,
        placement,
        keys: RefCell::default(),
        next_shard: Cell::new(0),
        changed: RefCell::default(),
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| case(&setup)));
    let restored = catch_unwind(AssertUnwindSafe(|| setup.restore_config()));
    if let Err(panic) = outcome.and(restored) {
        eprintln!("the case failed with {protocol:?}, keys {placement:?}");
        resume_unwind(panic);
    }
}

impl<'s> Setup<'s> {
    /// A new connection that speaks the protocol of this setup.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client(self.protocol)
    }

    /// A new connection that has sent nothing, not even HELLO.
    #[track_caller]
    pub fn raw_client(&self) -> Client {
        Client::connect_silently(self.server.address())
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    pub fn server(&self) -> &'s Server {
        self.server
    }

    /// True when the tests run against a real Redis to learn what it does.
    pub fn is_redis(&self) -> bool {
        self.server.kind() == ServerKind::Redis
    }

    pub fn shards(&self) -> usize {
        self.server.threads()
    }

    /// Sets a directive until the end of the case.
    #[track_caller]
    pub fn config(&self, directive: &str, value: &str) {
        let mut client = self.client();
        let before = client.call(&["CONFIG", "GET", directive]).field(directive).text();
        client.expect(&["CONFIG", "SET", directive, value], ok());
        self.changed.borrow_mut().push((directive.to_owned(), before));
    }

    fn restore_config(&self) {
        for (directive, value) in self.changed.take().iter().rev() {
            self.client().expect(&["CONFIG", "SET", directive, value], ok());
        }
    }

    /// The key that stands for `name` in this setup: always the same for one name, on the shard that
    /// the placement wants.
    #[track_caller]
    pub fn key(&self, name: &str) -> String {
        if let Some(key) = self.keys.borrow().get(name) {
            return key.clone();
        }
        let key = match self.placement {
            Placement::Only | Placement::Several => name.to_owned(),
            Placement::Together => format!("{{tag}}{name}"),
            Placement::Apart => {
                let shard = self.next_shard.get();
                self.next_shard.set((shard + 1) % self.shards());
                self.key_on(shard, name)
            }
        };
        self.keys.borrow_mut().insert(name.to_owned(), key.clone());
        key
    }

    /// Keys for several names at once: `let [a, b] = s.keys(["a", "b"]);`.
    #[track_caller]
    pub fn keys<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        names.map(|name| self.key(name))
    }

    /// A key called after `name` that lives on the given shard.
    #[track_caller]
    pub fn key_on(&self, shard: usize, name: &str) -> String {
        assert!(shard < self.shards(), "there is no shard {shard}");
        let mut client = self.client();
        let mut candidates =
            std::iter::once(name.to_owned()).chain((0..10_000).map(|n| format!("{name}:{n}")));
        candidates
            .find(|key| self.server.shard_of(&mut client, key) == shard)
            .unwrap_or_else(|| panic!("no key lives on shard {shard}"))
    }

    /// `count` keys that live on as many different shards as there are, in turn.
    #[track_caller]
    pub fn keys_apart(&self, count: usize) -> Vec<String> {
        (0..count).map(|index| self.key_on(index % self.shards(), &format!("apart{index}"))).collect()
    }

    /// `count` keys of one hash tag.
    pub fn keys_together(&self, count: usize) -> Vec<String> {
        (0..count).map(|index| format!("{{together}}{index}")).collect()
    }
}
