//! Both forms against std collections.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::index::Index;
use super::sorted::{Sorted, compare};
use super::{Form, LexBound, LexRange, ScoreBound, ScoreRange, ZSet};
use crate::types::listpack::Listpack;
use crate::types::{Collection, Encodings};

/// A score with a total order, for the twin.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Score) -> std::cmp::Ordering {
        self.0.partial_cmp(&other.0).expect("no NaN gets in")
    }
}

/// The naive twin.
#[derive(Default)]
struct Twin {
    scores: HashMap<Vec<u8>, f64>,
    order: BTreeSet<(Score, Vec<u8>)>,
}

impl Twin {
    fn add(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = self.scores.get(member).copied();
        if old != Some(score) {
            if let Some(old) = old {
                self.order.remove(&(Score(old), member.to_vec()));
            }
            self.order.insert((Score(score), member.to_vec()));
            self.scores.insert(member.to_vec(), score);
        }
        old
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let old = self.scores.remove(member)?;
        self.order.remove(&(Score(old), member.to_vec()));
        Some(old)
    }

    fn listed(&self) -> Vec<(Vec<u8>, f64)> {
        self.order.iter().map(|(score, member)| (member.clone(), score.0)).collect()
    }
}

fn forwards(sorted: &Sorted) -> Vec<(Vec<u8>, f64)> {
    let mut place = sorted.at(0);
    std::iter::from_fn(|| {
        let (member, score) = sorted.get(place?);
        place = sorted.next(place?);
        Some((member.to_vec(), score))
    })
    .collect()
}

fn backwards(sorted: &Sorted) -> Vec<(Vec<u8>, f64)> {
    let mut place = sorted.len().checked_sub(1).and_then(|last| sorted.at(last));
    std::iter::from_fn(|| {
        let (member, score) = sorted.get(place?);
        place = sorted.previous(place?);
        Some((member.to_vec(), score))
    })
    .collect()
}

fn check(sorted: &Sorted, twin: &Twin) {
    sorted.verify();
    let listed = twin.listed();
    assert_eq!(forwards(sorted), listed);
    let mut back = backwards(sorted);
    back.reverse();
    assert_eq!(back, listed);
    for (rank, (member, score)) in listed.iter().enumerate() {
        assert_eq!(sorted.rank(member), Some((rank, *score)));
        assert_eq!(sorted.at(rank).map(|place| sorted.get(place)), Some((&member[..], *score)));
    }
    assert_eq!(sorted.at(listed.len()), None);
    let mut scanned = scan_all(sorted, 7);
    scanned.sort();
    let mut members: Vec<_> = listed.into_iter().map(|(member, _)| member).collect();
    members.sort();
    assert_eq!(scanned, members);
}

fn scan_all(sorted: &Sorted, count: usize) -> Vec<Vec<u8>> {
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        cursor = sorted.scan(cursor, count, &mut |member, _| seen.push(member.to_vec()));
        if cursor == 0 {
            return seen;
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveAt(usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..400u32).prop_map(|n| format!("m{n}").into_bytes()),
        2 => (0..40usize).prop_map(|n| vec![b'x'; n * 9]),
        1 => (0..6usize).prop_map(|n| vec![b'y'; 4090 + n * 3]),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-5..5i32).prop_map(f64::from),
        4 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(-0.0),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (member(), score()).prop_map(|(member, score)| Step::Add(member, score)),
        3 => member().prop_map(Step::Remove),
        1 => (0..300usize).prop_map(Step::RemoveAt),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_big_form_is_a_sorted_set(steps in proptest::collection::vec(step(), 0..900)) {
        let (mut sorted, mut twin) = (Sorted::new(), Twin::default());
        for step in steps {
            match step {
                Step::Add(member, score) => {
                    prop_assert_eq!(sorted.add(&member, score), Ok(twin.add(&member, score)));
                }
                Step::Remove(member) => prop_assert_eq!(sorted.remove(&member), twin.remove(&member)),
                Step::RemoveAt(rank) => {
                    let mut shown = None;
                    sorted.remove_at(rank, &mut |member, score| shown = Some((member.to_vec(), score)));
                    prop_assert_eq!(&shown, &twin.listed().get(rank).cloned());
                    if let Some((member, _)) = shown {
                        twin.remove(&member);
                    }
                }
            }
            prop_assert_eq!(sorted.len(), twin.scores.len());
        }
        check(&sorted, &twin);
        check(&sorted.clone(), &twin);
    }

    #[test]
    fn borders_are_counted(members in proptest::collection::vec((member(), score()), 0..300), at in score()) {
        let (mut sorted, mut twin) = (Sorted::new(), Twin::default());
        for (member, score) in members {
            sorted.add(&member, score).unwrap();
            twin.add(&member, score);
        }
        let listed = twin.listed();
        prop_assert_eq!(sorted.scores_before(|score| score < at), listed.iter().filter(|(_, s)| *s < at).count());
        prop_assert_eq!(sorted.scores_before(|score| score <= at), listed.iter().filter(|(_, s)| *s <= at).count());
    }
}

fn numbered(n: u64) -> (Vec<u8>, f64) {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    (format!("member:{n}").into_bytes(), (mixed % 5000) as f64)
}

#[test]
fn it_grows_and_shrinks_by_the_ten_thousand() {
    let (mut sorted, mut twin) = (Sorted::new(), Twin::default());
    for n in 0..20_000 {
        let (member, score) = numbered(n);
        sorted.add(&member, score).unwrap();
        twin.add(&member, score);
    }
    check(&sorted, &twin);
    let full = sorted.heap_bytes();
    // Other scores for all.
    for n in 0..20_000 {
        let (member, score) = numbered(n);
        assert_eq!(sorted.add(&member, score * 7.0 % 1000.0), Ok(twin.add(&member, score * 7.0 % 1000.0)));
    }
    check(&sorted, &twin);
    for n in (0..20_000).filter(|n| n % 100 != 7) {
        let (member, _) = numbered(n);
        assert_eq!(sorted.remove(&member), twin.remove(&member));
        if n % 3000 == 0 {
            sorted.verify();
        }
    }
    check(&sorted, &twin);
    assert!(sorted.heap_bytes() < full / 4, "{} of {full}", sorted.heap_bytes());
    let mut dropped = ZSet::default();
    for (member, score) in forwards(&sorted) {
        dropped.add(&member, score, &limits(0)).unwrap();
    }
    for n in 0..150 {
        dropped.remove_ranks(n..n + 1, false, &mut |_, _| ());
    }
    let mut bytes = dropped.heap_bytes();
    while !dropped.drop_some(1) {
        assert!(dropped.heap_bytes() <= bytes, "what is dropped becomes less");
        bytes = dropped.heap_bytes();
    }
    while !sorted.is_empty() {
        sorted.remove_at(sorted.len() - 1, &mut |_, _| ());
    }
    sorted.verify();
    assert!(!sorted.drop_some(1) || sorted.heap_bytes() < 4096);
    while !sorted.drop_some(1) {}
}

#[test]
fn a_copy_made_piece_by_piece_is_the_same_and_goes_its_own_way() {
    let mut zset = ZSet::new_sorted();
    let mut copy = ZSet::new_sorted();
    assert_eq!(zset.copy_some(&mut copy, 0, usize::MAX), None, "an empty one is one piece");
    for n in 0..6000u64 {
        let (mut member, score) = numbered(n);
        member.resize(member.len() + (n % 40) as usize + if n % 500 == 0 { 5000 } else { 0 }, b'x');
        zset.add(&member, score, &limits(0)).unwrap();
    }
    // Gaps in all that a copy has to take over.
    zset.remove_ranks(100..3000, false, &mut |_, _| ());
    for count in [1, 300, usize::MAX] {
        let (mut copy, mut at, mut pieces) = (ZSet::new_sorted(), 0, 1);
        while let Some(next) = zset.copy_some(&mut copy, at, count) {
            assert!(next > at && copy.heap_bytes() <= 2 * zset.heap_bytes());
            (at, pieces) = (next, pieces + 1);
        }
        assert!(count != 1 || pieces > 20, "{pieces} pieces");
        assert_eq!(copy, zset);
        let Form::Sorted(sorted) = &mut copy.form else { panic!("it is in the big form") };
        sorted.verify();
        for n in 6000..7000 {
            let (member, score) = numbered(n);
            assert_eq!(sorted.add(&member, score), Ok(None));
        }
        for _ in 0..3000 {
            sorted.remove_at(50, &mut |_, _| ());
        }
        sorted.verify();
        assert_eq!(zset.len(), 3100);
        while !copy.drop_some(1) {}
        // One that is given up halfway can be dropped.
        let mut part = ZSet::new_sorted();
        zset.copy_some(&mut part, 0, count);
        while !part.drop_some(1) {}
    }
}

#[test]
fn members_of_changing_sizes_do_not_leave_their_places_behind() {
    let mut sorted = Sorted::new();
    let mut most = 0;
    for round in 0..30usize {
        for n in 0..2000 {
            let member = format!("{round:0width$}:{n}", width = 4 + round * 7 % 60);
            sorted.add(member.as_bytes(), n as f64).unwrap();
            if round > 0 {
                let before = format!("{:0width$}:{n}", round - 1, width = 4 + (round - 1) * 7 % 60);
                assert!(sorted.remove(before.as_bytes()).is_some());
            }
        }
        most = most.max(sorted.heap_bytes());
    }
    sorted.verify();
    assert!(most < 2000 * (80 + 80) * 2, "{most}");
}

#[test]
fn ascending_and_descending_scores_fill_their_nodes() {
    for down in [false, true] {
        let mut sorted = Sorted::new();
        for n in 0..20_000 {
            let score = if down { -f64::from(n) } else { f64::from(n) };
            sorted.add(format!("{n}").as_bytes(), score).unwrap();
        }
        sorted.verify();
        let per_member = sorted.heap_bytes() as f64 / 20_000.0;
        assert!(per_member < 45.0, "{per_member}");
    }
}

#[test]
fn a_scan_sees_what_stays_while_the_set_grows_and_shrinks() {
    let mut sorted = Sorted::new();
    for n in 0..3000 {
        sorted.add(format!("stays:{n}").as_bytes(), 1.0).unwrap();
    }
    let (mut cursor, mut seen, mut n) = (0, std::collections::HashSet::new(), 0);
    loop {
        cursor = sorted.scan(cursor, 10, &mut |member, _| {
            seen.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
        for _ in 0..30 {
            if n < 4000 {
                sorted.add(format!("comes:{n}").as_bytes(), 2.0).unwrap();
            } else if n < 8000 {
                sorted.remove(format!("comes:{}", n - 4000).as_bytes());
            }
            n += 1;
        }
    }
    assert!((0..3000).all(|n| seen.contains(format!("stays:{n}").as_bytes())));
    // Cursors nobody gave.
    for cursor in [1, u64::MAX, 1 << 48, (1 << 48) - 1, 12345678901234] {
        sorted.scan(cursor, 10, &mut |_, _| ());
    }
}

#[test]
fn the_order_is_by_score_then_bytes() {
    use std::cmp::Ordering::*;
    assert_eq!(compare((1.0, b"b"), (2.0, b"a")), Less);
    assert_eq!(compare((1.0, b"b"), (1.0, b"a")), Greater);
    assert_eq!(compare((0.0, b"a"), (-0.0, b"a")), Equal);
}

fn limits(entries: usize) -> Encodings {
    Encodings { zset_entries: entries, zset_value_bytes: 64, ..Encodings::default() }
}

fn text((member, score): super::Pair<'_>) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

fn check_zset(zset: &ZSet, twin: &Twin) {
    let (view, listed) = (zset.view(), twin.listed());
    assert_eq!(view.len(), listed.len());
    assert_eq!(view.all().map(text).collect::<Vec<_>>(), listed);
    for (rank, (member, score)) in listed.iter().enumerate() {
        assert_eq!(view.rank(member), Some((rank, *score)));
        assert_eq!(view.score(member), Some(*score));
        assert_eq!(view.get(rank).map(text), Some((member.clone(), *score)));
    }
    for ranks in [0..listed.len(), 1..3, 2..usize::MAX, listed.len()..listed.len() + 1] {
        let clamped = ranks.start.min(listed.len())..ranks.end.min(listed.len());
        let mut expected = listed[clamped].to_vec();
        assert_eq!(view.iter(ranks.clone(), false).map(text).collect::<Vec<_>>(), expected);
        expected.reverse();
        assert_eq!(view.iter(ranks, true).map(text).collect::<Vec<_>>(), expected);
    }
    let mut scanned = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = view.scan(cursor, 5, &mut |member, score| scanned.push((member.to_vec(), score)));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
    assert_eq!(scanned, listed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_forms_are_sorted_sets(
        steps in proptest::collection::vec(step(), 0..300),
        entries in prop_oneof![Just(0usize), Just(20), Just(128), Just(10_000)],
        low in score(), high in score(), exclusive: (bool, bool), lex in (member(), member()),
    ) {
        let limits = limits(entries);
        let (mut zset, mut twin) = (ZSet::default(), Twin::default());
        for step in steps {
            match step {
                Step::Add(member, score) => {
                    let old = zset.add(&member, score, &limits);
                    prop_assert_eq!(old, Ok(twin.add(&member, score)));
                    let must_be_big = zset.len() > entries || member.len() > 64 && old == Ok(None);
                    prop_assert!(!(must_be_big && zset.is_packed()));
                }
                Step::Remove(member) => prop_assert_eq!(zset.remove(&member), twin.remove(&member)),
                Step::RemoveAt(rank) => {
                    let mut shown = Vec::new();
                    let show = &mut |member: crate::types::listpack::Element<'_>, score| shown.push((member.to_vec(), score));
                    let ranks = rank..rank.saturating_add(3);
                    zset.remove_ranks(ranks.clone(), rank % 2 == 1, show);
                    let listed = twin.listed();
                    let mut expected = listed[ranks.start.min(listed.len())..ranks.end.min(listed.len())].to_vec();
                    if rank % 2 == 1 {
                        expected.reverse();
                    }
                    prop_assert_eq!(&shown, &expected);
                    shown.iter().for_each(|(member, _)| { twin.remove(member); });
                }
            }
        }
        check_zset(&zset, &twin);
        prop_assert_eq!(&zset.clone(), &zset);
        let listed = twin.listed();
        let range = ScoreRange {
            min: ScoreBound { score: low, exclusive: exclusive.0 },
            max: ScoreBound { score: high, exclusive: exclusive.1 },
        };
        let is_in = |score: f64| {
            (if exclusive.0 { score > low } else { score >= low })
                && (if exclusive.1 { score < high } else { score <= high })
        };
        let found: Vec<_> = zset.view().iter(zset.view().ranks_by_score(&range), false).map(text).collect();
        prop_assert_eq!(found, listed.iter().filter(|(_, score)| is_in(*score)).cloned().collect::<Vec<_>>());
        // Members are in order when all scores are the same.
        let mut same = ZSet::default();
        for (member, _) in &listed {
            same.add(member, 1.0, &limits).unwrap();
        }
        let min = if exclusive.0 { LexBound::Exclusive(&lex.0) } else { LexBound::Inclusive(&lex.0) };
        let max = if exclusive.1 { LexBound::Exclusive(&lex.1) } else { LexBound::Inclusive(&lex.1) };
        let found: Vec<_> = same.view().iter(same.view().ranks_by_lex(&LexRange { min, max }, exclusive.0), false).map(text).collect();
        let mut expected: Vec<_> = listed
            .iter()
            .filter(|(member, _)| if exclusive.0 { *member > lex.0 } else { *member >= lex.0 })
            .filter(|(member, _)| if exclusive.1 { *member < lex.1 } else { *member <= lex.1 })
            .map(|(member, _)| (member.clone(), 1.0))
            .collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(found, expected);
        // And back to the small form, when it fits.
        let mut settled = zset.clone();
        settled.settle(&limits);
        prop_assert_eq!(&settled, &zset);
        let fits = zset.len() <= entries && listed.iter().all(|(member, _)| member.len() <= 64);
        prop_assert!(!fits || settled.is_packed());
    }
}

#[test]
fn listpacks_from_elsewhere_are_looked_at() {
    let pack = |entries: &[&str]| {
        let mut pack = Listpack::new();
        entries.iter().for_each(|entry| pack.push_back(entry.as_bytes()));
        ZSet::from_listpack(pack, &limits(2))
    };
    assert!(pack(&["a", "1", "b", "1"]).is_some_and(|zset| zset.is_packed()));
    assert!(pack(&["a", "1", "b", "1.5", "c", "inf"]).is_some_and(|zset| !zset.is_packed()));
    for bad in [
        &["a"][..],
        &["a", "x"],
        &["a", "nan"],
        &["a", "2", "b", "1"],
        &["b", "1", "a", "1"],
        &["a", "1", "a", "1"],
        &["a", "1", "b", "1", "a", "2"],
    ] {
        assert_eq!(pack(bad), None, "{bad:?}");
    }
}

#[test]
fn members_whose_hashes_are_the_same_are_found_and_lost() {
    for keep in [0, 7, 7 << 61, 1 << 40, u64::MAX] {
        let hash = |id: u32| u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15) & keep;
        let mut index = Index::new();
        for id in 0..3000 {
            index.insert(hash(id), id, &hash);
        }
        assert_eq!(index.verify(&hash).len(), 3000);
        assert!(index.heap_bytes() < 1 << 20, "{}", index.heap_bytes());
        let mut seen = std::collections::HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = index.scan(cursor, 10, &hash, &mut |id| {
                seen.insert(id);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), 3000);
        for id in (0..3000).filter(|id| id % 10 != 0) {
            assert!(index.remove(hash(id), id, &hash));
            assert!(!index.remove(hash(id), id, &hash));
        }
        assert_eq!(index.verify(&hash).len(), 300);
    }
}
