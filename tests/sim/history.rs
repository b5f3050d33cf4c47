//! What clients saw, and whether one serial order explains all of it.
//!
//! Every write appends a token that no other write has, to a string. So a read tells exactly which writes it saw and in
//! which order (the idea of Elle: Kingsbury and Alvaro, VLDB 2020). Two things must hold.
//!
//! *Strict serialisability*: who wrote before whom, who read what, who read before whom wrote, and real time (answered
//! before sent) together have no cycle. A command, or an EXEC, is one point; commands that a client pipelines without
//! waiting for answers are concurrent.
//!
//! *Causal pipelines*: whoever sees a write sees all that caused it, and the earlier writes of a client's pipeline
//! cause the later ones. So every read contains each write of its key that leads to it over: same client's later
//! write, read by, answered before the sending of.

use std::collections::HashMap;

/// One key's part of an operation.
#[derive(Clone, Debug)]
pub enum Step {
    /// Appended this token; `length` is the key's length afterwards, when the reply said so.
    Append { key: usize, token: u64, length: Option<usize> },
    /// Read these tokens; `None` when the reply never came.
    Read { key: usize, seen: Option<Vec<u64>> },
}

/// A command, or a transaction of several: one point in the serial order.
#[derive(Clone, Debug)]
pub struct Operation {
    pub client: usize,
    pub steps: Vec<Step>,
    /// When its bytes were given to the core, in steps of the scheduler.
    pub sent_at: u64,
    /// When its reply was complete; `None` when it never came.
    pub answered_at: Option<u64>,
    /// It was answered that it did not run (EXEC with a changed watched key).
    pub refused: bool,
    /// For an EXEC under WATCH: the operation that read the watched key.
    pub watched: Option<usize>,
    #[expect(dead_code, reason = "read by people, in the debug text")]
    pub text: String,
}

/// Every token takes this many bytes in its key.
pub const TOKEN_BYTES: usize = 8;

/// The tokens of a string.
pub fn tokens(bytes: &[u8]) -> Vec<u64> {
    assert!(bytes.len().is_multiple_of(TOKEN_BYTES), "a value is made of whole tokens");
    let parse = |chunk: &[u8]| std::str::from_utf8(chunk).ok()?.trim_end().parse().ok();
    bytes.chunks(TOKEN_BYTES).map(|chunk| parse(chunk).expect("a value is made of tokens")).collect()
}

/// The bytes of a token.
pub fn token_text(token: u64) -> String {
    format!("{token:<width$}", width = TOKEN_BYTES)
}

/// Finds a contradiction; `finals` are the tokens of every key at the end.
pub fn check(operations: &[Operation], finals: &[Vec<u64>]) -> Result<(), String> {
    let operations = &with_watched_reads(operations)[..];
    let mut writer = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        for step in &operation.steps {
            if let Step::Append { key, token, .. } = step {
                writer.insert((*key, *token), index);
            }
        }
    }
    let mut edges: Vec<Vec<(usize, &'static str)>> = vec![Vec::new(); operations.len()];
    let position: Vec<HashMap<u64, usize>> =
        finals.iter().map(|all| all.iter().enumerate().map(|(at, token)| (*token, at)).collect()).collect();
    let writer_at = |key: usize, at: usize| finals[key].get(at).map(|token| writer[&(key, *token)]);
    for (key, all) in finals.iter().enumerate() {
        if position[key].len() != all.len() {
            return Err(format!("key {key} holds a token twice"));
        }
        for pair in all.windows(2) {
            let (a, b) = (writer[&(key, pair[0])], writer[&(key, pair[1])]);
            if a != b {
                edges[a].push((b, "wrote before"));
            }
        }
    }
    for (index, operation) in operations.iter().enumerate() {
        let mut own: HashMap<usize, usize> = HashMap::new();
        for step in &operation.steps {
            match step {
                Step::Append { key, token, length } => {
                    let at = position[*key].get(token);
                    match at {
                        Some(_) if operation.refused => {
                            return Err(format!("a refused transaction wrote: {operation:?}"));
                        }
                        None if operation.answered_at.is_some() && !operation.refused => {
                            return Err(format!("an answered write is lost: {operation:?}"));
                        }
                        _ => {}
                    }
                    if let (Some(at), Some(length)) = (at, length)
                        && (at + 1) * TOKEN_BYTES != *length
                    {
                        return Err(format!("a write's reply and its place differ ({at}): {operation:?}"));
                    }
                    *own.entry(*key).or_insert(0) += 1;
                }
                Step::Read { key, seen: Some(seen) } => {
                    if seen[..] != finals[*key][..seen.len().min(finals[*key].len())] {
                        return Err(format!("a read saw what never was: {operation:?}"));
                    }
                    if let Some(last) = seen.len().checked_sub(1)
                        && let Some(wrote) = writer_at(*key, last)
                        && wrote != index
                    {
                        edges[wrote].push((index, "was read by"));
                    }
                    // The next write it did not see (its own later ones come after it anyway).
                    if let Some(next) = writer_at(*key, seen.len())
                        && next != index
                    {
                        edges[index].push((next, "read before the write of"));
                    }
                }
                Step::Read { seen: None, .. } => {}
            }
        }
    }
    add_real_time(operations, &mut edges);
    if let Some(cycle) = find_cycle(&edges) {
        let mut text = String::from("no serial order explains the history:\n");
        for (index, why) in cycle {
            text.push_str(&format!("  {:?}\n    {why}\n", operations[index]));
        }
        return Err(text);
    }
    check_causes(operations, &position, &writer)
}

/// An EXEC that ran under WATCH has also read the watched key, and saw what was read of it after WATCH.
fn with_watched_reads(operations: &[Operation]) -> Vec<Operation> {
    let mut all = operations.to_vec();
    for operation in all.iter_mut().filter(|operation| ran(operation)) {
        if let Some(reader) = operation.watched {
            operation.steps.splice(0..0, operations[reader].steps.iter().cloned());
        }
    }
    all
}

fn ran(operation: &Operation) -> bool {
    operation.answered_at.is_some() && !operation.refused
}

/// Answered before sent.
fn add_real_time(operations: &[Operation], edges: &mut [Vec<(usize, &'static str)>]) {
    for (a, operation) in operations.iter().enumerate().filter(|(_, operation)| ran(operation)) {
        for (b, later) in operations.iter().enumerate() {
            if a != b && operation.answered_at < Some(later.sent_at) && !later.refused {
                edges[a].push((b, "was answered before the sending of"));
            }
        }
    }
}

/// No read misses a write that caused it.
fn check_causes(
    operations: &[Operation],
    position: &[HashMap<u64, usize>],
    writer: &HashMap<(usize, u64), usize>,
) -> Result<(), String> {
    let mut edges = vec![Vec::new(); operations.len()];
    add_real_time(operations, &mut edges);
    let mut last: HashMap<usize, usize> = HashMap::new();
    for (index, operation) in operations.iter().enumerate().filter(|(_, operation)| !operation.refused) {
        let writes = operation.steps.iter().any(|step| matches!(step, Step::Append { .. }));
        if writes && let Some(before) = last.insert(operation.client, index) {
            edges[before].push((index, "was written by the same client before"));
        }
        for step in &operation.steps {
            if let Step::Read { key, seen: Some(seen) } = step {
                for token in seen.iter().map(|token| writer[&(*key, *token)]).filter(|wrote| *wrote != index)
                {
                    edges[token].push((index, "was read by"));
                }
            }
        }
    }
    for (cause, operation) in operations.iter().enumerate() {
        let mut reached = vec![false; operations.len()];
        let mut open = vec![cause];
        while let Some(node) = open.pop() {
            for (next, _) in &edges[node] {
                if !std::mem::replace(&mut reached[*next], true) {
                    open.push(*next);
                }
            }
        }
        for step in &operation.steps {
            let Step::Append { key, token, .. } = step else { continue };
            let Some(at) = position[*key].get(token) else { continue };
            for (effect, reader) in
                operations.iter().enumerate().filter(|(index, _)| reached[*index] && *index != cause)
            {
                let misses = |step: &Step| matches!(step, Step::Read { key: read, seen: Some(seen) } if read == key && seen.len() <= *at);
                if reader.steps.iter().any(misses) {
                    return Err(format!(
                        "a read misses a write that caused it:\n  {operation:?}\n  {:?}",
                        operations[effect]
                    ));
                }
            }
        }
    }
    Ok(())
}

fn find_cycle(edges: &[Vec<(usize, &'static str)>]) -> Option<Vec<(usize, &'static str)>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        // Iterative, with the path kept: (node, next edge to look at).
        let mut path = vec![(root, 0)];
        marks[root] = Mark::Open;
        while let Some((node, at)) = path.last_mut() {
            let Some((next, _)) = edges[*node].get(*at).copied() else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *at += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::Open;
                    path.push((next, 0));
                }
                Mark::Open => {
                    let from = path
                        .iter()
                        .position(|(known, _)| *known == next)
                        .expect("open nodes are on the path");
                    return Some(
                        path[from..].iter().map(|(node, at)| (*node, edges[*node][at - 1].1)).collect(),
                    );
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(client: usize, key: usize, token: u64, sent: u64, answered: u64) -> Operation {
        let steps = vec![Step::Append { key, token, length: None }];
        Operation {
            client,
            steps,
            sent_at: sent,
            answered_at: Some(answered),
            refused: false,
            watched: None,
            text: String::new(),
        }
    }

    fn read(client: usize, seen: &[(usize, &[u64])], sent: u64, answered: u64) -> Operation {
        let steps =
            seen.iter().map(|(key, seen)| Step::Read { key: *key, seen: Some(seen.to_vec()) }).collect();
        Operation {
            client,
            steps,
            sent_at: sent,
            answered_at: Some(answered),
            refused: false,
            watched: None,
            text: String::new(),
        }
    }

    #[test]
    fn a_pipeline_seen_out_of_order_is_a_contradiction() {
        let first = append(0, 0, 1, 0, 9);
        let second = append(0, 1, 2, 0, 9);
        let torn = read(1, &[(0, &[]), (1, &[2])], 0, 9);
        assert!(check(&[first.clone(), second.clone(), torn], &[vec![1], vec![2]]).is_err());
        let whole = read(1, &[(0, &[1]), (1, &[])], 0, 9);
        assert!(check(&[first, second, whole], &[vec![1], vec![2]]).is_ok());
    }

    #[test]
    fn a_write_between_watch_and_exec_is_a_contradiction() {
        let between = append(0, 0, 1, 0, 9);
        let mut exec = append(1, 1, 2, 0, 9);
        exec.watched = Some(1);
        let late = read(2, &[(0, &[1]), (1, &[])], 0, 9);
        let history = [between, read(1, &[(0, &[])], 0, 9), exec, late];
        assert!(check(&history[..3], &[vec![1], vec![2]]).is_ok());
        assert!(check(&history, &[vec![1], vec![2]]).is_err());
    }

    #[test]
    fn a_stale_read_after_an_answer_is_a_contradiction() {
        let write = append(0, 0, 1, 0, 1);
        assert!(check(&[write.clone(), read(1, &[(0, &[])], 2, 3)], &[vec![1]]).is_err());
        assert!(check(&[write, read(1, &[(0, &[])], 1, 3)], &[vec![1]]).is_ok());
    }
}
