//! Clients that wait for lists on several shards: nothing that was pushed is lost or delivered twice, and nobody waits
//! beside a list that has something.

use std::collections::{HashMap, HashSet};

use crate::reply::Value;

/// What a client asked of the lists.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Pushes these tokens; the reply is a number, or an array of them.
    Push(Vec<u64>),
    /// Takes a token, or waits for one of these lists.
    Take { waits_at: Vec<usize> },
    /// Moves a token to another list, or waits for the first.
    Move { waits_at: usize },
}

/// What is known of the tokens.
#[derive(Default)]
pub struct Tally {
    /// Whose pushes were sent.
    pub sent: HashSet<u64>,
    pub taken: HashSet<u64>,
    /// Tokens taken or pushed by clients who left before the answer, at most.
    pub unknown_takes: usize,
}

impl Tally {
    /// A reply to a client.
    pub fn answered(&mut self, ask: &Ask, reply: Value) {
        match (ask, reply) {
            (Ask::Push(_), Value::Int(_) | Value::Array(_)) => {}
            (Ask::Take { .. }, Value::Array(pair)) => self.take(&pair[1]),
            (Ask::Take { .. }, token @ Value::Bulk(_)) => self.take(&token),
            (Ask::Take { .. }, Value::Null | Value::NullArray) => {}
            (Ask::Move { .. }, Value::Bulk(_) | Value::Null) => {}
            (ask, reply) => panic!("{ask:?} was answered {reply:?}"),
        }
    }

    fn take(&mut self, token: &Value) {
        let Value::Bulk(text) = token else { panic!("a token is text: {token:?}") };
        let token = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let token = token.expect("tokens are numbers");
        assert!(self.sent.contains(&token), "token {token} was never pushed");
        assert!(self.taken.insert(token), "token {token} was delivered twice");
    }

    /// At the end: every token was taken once or lies in one list.
    pub fn check(&self, lists: &HashMap<usize, Vec<u64>>) {
        let mut found = self.taken.clone();
        for token in lists.values().flatten() {
            assert!(found.insert(*token), "token {token} was delivered, and is still there");
        }
        let lost = self.sent.len() - found.len();
        assert!(lost <= self.unknown_takes, "{lost} tokens are lost, {} takes unknown", self.unknown_takes);
    }
}
