use super::*;
use crate::types::{Collection, Listpack};
use proptest::prelude::*;

/// Strings of all sizes that matter to nodes of these lists, few enough to meet again.
fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0u8..12).prop_map(|n| n.to_string().into_bytes()),
        3 => (0u8..4).prop_map(|n| vec![b'a' + n; 30]),
        1 => (0u8..4).prop_map(|n| vec![b'm' + n; 1500]),
        1 => (0u8..2).prop_map(|n| vec![b'y' + n; 4090]),
        1 => (0u8..2).prop_map(|n| vec![b'A' + n; 9000]),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    Fill(End, usize),
    Pop(End, usize),
    DropEnd(End, usize),
    Set(usize, Vec<u8>),
    Insert(bool, Vec<u8>, Vec<u8>),
    Remove(Vec<u8>, End, usize),
    Trim(usize, usize),
    RemoveIndex(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (end(), string()).prop_map(|(end, string)| Step::Push(end, string)),
        1 => (end(), 1usize..200).prop_map(|(end, n)| Step::Fill(end, n)),
        2 => (end(), 0usize..30).prop_map(|(end, n)| Step::Pop(end, n)),
        1 => (end(), 0usize..30).prop_map(|(end, n)| Step::DropEnd(end, n)),
        2 => (any::<usize>(), string()).prop_map(|(at, string)| Step::Set(at, string)),
        4 => (any::<bool>(), string(), string()).prop_map(|(b, pivot, string)| Step::Insert(b, pivot, string)),
        2 => (string(), end(), prop_oneof![1usize..4, Just(usize::MAX)])
            .prop_map(|(string, end, most)| Step::Remove(string, end, most)),
        1 => (0usize..40, 0usize..200).prop_map(|(start, count)| Step::Trim(start, count)),
        1 => any::<usize>().prop_map(Step::RemoveIndex),
    ]
}

/// Everything that reading promises, against the strings.
fn check(list: &List, twin: &[Vec<u8>]) {
    list.verify();
    assert_eq!(list.len(), twin.len());
    assert_eq!(list.view().to_vecs(), twin);
    let mut backwards = Vec::new();
    list.view().visit_back(twin.len().saturating_sub(1), usize::MAX, |item| {
        backwards.push(item.to_vec());
        true
    });
    backwards.reverse();
    assert_eq!(backwards, twin);
    for index in (0..twin.len()).step_by(1 + twin.len() / 7) {
        assert_eq!(list.get(index).map(Item::to_vec).as_ref(), twin.get(index));
        assert_eq!(
            list.view().get(index as i64 - twin.len() as i64).map(Item::to_vec).as_ref(),
            twin.get(index)
        );
        for (is_back, wanted) in [
            (false, twin[index..].iter().take(3).collect::<Vec<_>>()),
            (true, twin[..=index].iter().rev().take(3).collect()),
        ] {
            let mut seen = Vec::new();
            let mut see = |item: Item<'_>| {
                seen.push(item.to_vec());
                true
            };
            if is_back {
                list.visit_back(index, 3, &mut see);
            } else {
                list.visit(index, 3, &mut see);
            }
            assert_eq!(seen.iter().collect::<Vec<_>>(), wanted);
        }
    }
    assert!(list.get(twin.len()).is_none());
    assert!(list.view().get(-1 - twin.len() as i64).is_none());
    assert_eq!(list.peek(End::Front).map(Item::to_vec).as_ref(), twin.first());
    assert_eq!(list.peek(End::Back).map(Item::to_vec).as_ref(), twin.last());
    if let Some((form, body)) = list.packed() {
        assert_eq!(List::view_packed(form, body).to_vecs(), twin);
        assert_eq!(List::view_packed(form, body).get(-1).map(Item::to_vec).as_ref(), twin.last());
        assert_eq!(&List::unpack(form, body), list);
    }
}

fn apply(list: &mut List, twin: &mut Vec<Vec<u8>>, step: Step, limit: NodeLimit) {
    match step {
        Step::Push(end, string) => {
            list.push(end, &string, limit);
            twin.insert(if end == End::Front { 0 } else { twin.len() }, string);
        }
        Step::Fill(end, n) => {
            for n in 0..n {
                apply(list, twin, Step::Push(end, format!("element {}", n % 5).into_bytes()), limit);
            }
        }
        Step::Pop(end, n) => {
            let mut popped = Vec::new();
            list.pop(end, n, |item| popped.push(item.to_vec()));
            assert_eq!(popped, drop_of(twin, end, n));
        }
        Step::DropEnd(end, n) => {
            list.drop_end(end, n);
            drop_of(twin, end, n);
        }
        Step::Set(at, string) => {
            let at = at % (twin.len() + 1);
            assert_eq!(list.set(at, &string, limit), at < twin.len());
            if at < twin.len() {
                twin[at] = string;
            }
        }
        Step::Insert(before, pivot, string) => {
            let side = if before { Side::Before } else { Side::After };
            let found = twin.iter().position(|string| *string == pivot);
            assert_eq!(list.insert(side, &pivot, &string, limit), found.is_some());
            if let Some(at) = found {
                twin.insert(at + usize::from(!before), string);
            }
        }
        Step::Remove(string, end, most) => {
            let mut left = most;
            let before = twin.len();
            let mut stays = |element: &Vec<u8>| {
                let goes = *element == string && left > 0;
                left -= usize::from(goes);
                !goes
            };
            if end == End::Front {
                twin.retain(&mut stays);
            } else {
                twin.reverse();
                twin.retain(&mut stays);
                twin.reverse();
            }
            assert_eq!(list.remove(&string, end, most), before - twin.len());
        }
        Step::Trim(start, count) => {
            list.trim(start, count);
            *twin = twin.iter().skip(start).take(count).cloned().collect();
        }
        Step::RemoveIndex(at) => {
            let at = at % (twin.len() + 1);
            list.remove_index(at);
            if at < twin.len() {
                twin.remove(at);
            }
        }
    }
}

fn drop_of(twin: &mut Vec<Vec<u8>>, end: End, n: usize) -> Vec<Vec<u8>> {
    let n = n.min(twin.len());
    match end {
        End::Front => twin.drain(..n).collect(),
        End::Back => {
            let mut popped: Vec<_> = twin.drain(twin.len() - n..).collect();
            popped.reverse();
            popped
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_list_is_a_vector_of_strings(
        steps in proptest::collection::vec(step(), 0..60),
        setting in prop_oneof![Just(-2i64), Just(-1), Just(0), Just(1), Just(3), Just(128)],
    ) {
        let limit = NodeLimit::new(setting);
        let (mut list, mut twin) = (List::default(), Vec::new());
        for step in steps {
            apply(&mut list, &mut twin, step, limit);
            check(&list, &twin);
        }
        let mut rebuilt = List::default();
        list.nodes().for_each(|node| rebuilt.push_node(node.clone()));
        check(&rebuilt, &twin);
        prop_assert_eq!(&rebuilt, &list.clone());
        while !list.drop_some(7) {
            list.verify();
        }
        check(&list, &[]);
        prop_assert!(list.heap_bytes() <= size_of::<List>() + 128 * size_of::<Node>(), "{}", list.heap_bytes());
    }
}

#[test]
fn a_million_short_elements_take_little_more_than_their_bytes() {
    let limit = NodeLimit::new(-2);
    for end in [End::Back, End::Front] {
        let mut list = List::default();
        let count = 1_000_000;
        for n in 0..count {
            list.push(end, format!("element-{n:08}").as_bytes(), limit);
        }
        let extra = list.heap_bytes() as f64 / count as f64 - 16.0;
        assert!(extra <= 3.0, "{extra} bytes per element");
        list.verify();
    }
}

#[test]
fn a_queue_keeps_one_small_node() {
    let limit = NodeLimit::new(-2);
    for end in [End::Front, End::Back] {
        let mut list = List::default();
        for n in 0..100_000 {
            list.push(end, format!("element-{n:08}").as_bytes(), limit);
            if n >= 50 {
                list.drop_end(end.other(), 1);
            }
        }
        assert_eq!(list.len(), 50);
        assert!(list.heap_bytes() <= 32 * 1024, "{}", list.heap_bytes());
        list.verify();
    }
}

#[test]
fn many_equal_elements_leave_in_one_pass() {
    let limit = NodeLimit::new(-2);
    let mut list = List::default();
    for n in 0..300_000 {
        list.push(End::Back, if n % 3 == 0 { b"keep" } else { b"drop" }, limit);
    }
    assert_eq!(list.remove(b"drop", End::Back, usize::MAX), 200_000);
    list.verify();
    assert_eq!(list.len(), 100_000);
    assert_eq!(list.remove(b"keep", End::Front, usize::MAX), 100_000);
    list.verify();
    assert_eq!(list.heap_bytes(), size_of::<List>());
}

#[test]
fn limits_are_those_of_redis() {
    let small = Listpack::new();
    for (setting, largest) in [(-1, 4081), (-2, 8177), (-5, 65521), (-9, 65521), (5, 8177), (0, 8177)] {
        let limit = NodeLimit::new(setting);
        assert!(limit.admits(&small, largest) && !limit.is_large(largest), "{setting}");
        assert!(!limit.admits(&small, largest + 1) && limit.is_large(largest + 1), "{setting}");
    }
    let mut full = Listpack::new();
    full.push_back(b"a");
    assert!(!NodeLimit::new(1).admits(&full, 1));
    assert!(NodeLimit::new(2).admits(&full, 1));
}
