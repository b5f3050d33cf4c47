use std::collections::BTreeSet;

use super::*;
use proptest::prelude::*;

/// Small enough that tests pass through all forms.
const LIMITS: Encodings = Encodings {
    hash_entries: 0,
    hash_value_bytes: 0,
    intset_entries: 8,
    set_entries: 12,
    set_value_bytes: 10,
    zset_entries: 0,
    zset_value_bytes: 0,
    list_node: -2,
    hll_sparse_bytes: 0,
    stream_node_bytes: 0,
    stream_node_entries: 0,
};

fn of(members: &[&str]) -> Set {
    let mut set = Set::default();
    members.iter().for_each(|member| {
        set.insert(member.as_bytes(), &LIMITS);
    });
    set
}

fn numbers(range: std::ops::Range<i64>) -> Set {
    let mut set = Set::default();
    range.for_each(|value| {
        set.insert(value.to_string().as_bytes(), &LIMITS);
    });
    set
}

fn sorted(set: SetView<'_>) -> Vec<String> {
    let mut members: Vec<String> =
        set.iter().map(|member| String::from_utf8(member.to_vec()).expect("tests use text")).collect();
    members.sort();
    members
}

fn form_of(set: &Set) -> &'static str {
    match set.form {
        Form::Ints(_) => "ints",
        Form::Members(_) => "members",
        Form::Table(_) => "table",
        Form::Doomed(_) => "doomed",
    }
}

#[test]
fn the_first_members_decide_the_form() {
    assert_eq!(form_of(&of(&["1", "2"])), "ints");
    assert_eq!(form_of(&of(&["1", "a"])), "members");
    assert_eq!(form_of(&of(&["a", "1"])), "members");
    assert_eq!(form_of(&of(&["1", "0123456789abc"])), "table");
    assert_eq!(form_of(&of(&["01", "1"])), "members");
}

#[test]
fn forms_change_at_the_limits() {
    assert_eq!(form_of(&numbers(0..8)), "ints");
    assert_eq!(form_of(&numbers(0..9)), "members");
    assert_eq!(form_of(&numbers(0..13)), "table");
    let mut set = numbers(0..8);
    assert!(set.insert(b"word", &LIMITS));
    assert_eq!((form_of(&set), set.len()), ("members", 9));
    // What was there is not added, so nothing changes.
    assert!(!set.insert(b"7", &LIMITS));
    for i in 0..10 {
        set.insert(format!("m{i}").as_bytes(), &LIMITS);
    }
    assert_eq!((form_of(&set), set.len()), ("table", 19));
    assert_eq!(set, of(&sorted(set.view()).iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn a_big_set_goes_in_slices() {
    let mut set = Set::default();
    (0..10_000).for_each(|i| {
        set.insert(format!("member:{i}").as_bytes(), &LIMITS);
    });
    let mut before = set.heap_bytes();
    let mut slices = 0;
    while !set.drop_some(1000) {
        assert!(set.heap_bytes() < before, "every slice gives bytes back");
        before = set.heap_bytes();
        slices += 1;
    }
    assert!(slices >= 4, "{slices}");
    assert!(set.is_empty());
    assert!(of(&["1"]).drop_some(1));
}

#[test]
fn members_cost_few_bytes_above_their_own() {
    let limits = Encodings::default();
    let mut set = Set::default();
    let count = 100_000;
    for i in 0..count {
        set.insert(format!("{i:016x}").as_bytes(), &limits);
    }
    let each = set.heap_bytes() as f64 / f64::from(count) - 16.0;
    assert!(each < 14.0, "{each} bytes above the member's own");
}

#[test]
fn a_random_member_may_be_any() {
    for set in [numbers(0..6), of(&["a", "b", "c", "d", "e", "f"]), numbers(0..30)] {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            seen.insert(set.view().random(&mut || rng.u64(..)).expect("it has members").to_vec());
        }
        assert_eq!(seen.len(), set.len());
    }
}

#[test]
fn a_random_member_is_as_likely_as_any_other() {
    // Chi-square with 69 degrees of freedom: above 111 in one run of a thousand.
    let set = numbers(0..70);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut counts = [0f64; 70];
    for _ in 0..70_000 {
        let member = set.view().random(&mut || rng.u64(..)).expect("it has members").to_vec();
        counts[String::from_utf8(member).expect("digits").parse::<usize>().expect("a number")] += 1.0;
    }
    let chi: f64 = counts.iter().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
    assert!(chi < 111.0, "{chi}");
}

#[test]
fn popping_empties_a_set() {
    for mut set in [numbers(0..6), of(&["a", "b", "c"]), numbers(0..40)] {
        let (mut rng, all) = (fastrand::Rng::with_seed(5), sorted(set.view()));
        let mut popped = Vec::new();
        while let Some(member) = set.pop(&mut || rng.u64(..)) {
            popped.push(String::from_utf8(member.to_vec()).expect("tests use text"));
        }
        popped.sort();
        assert_eq!(popped, all);
        assert!(set.is_empty());
    }
}

fn shown<'a>(run: impl FnOnce(&mut dyn FnMut(Element<'a>) -> bool)) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    run(&mut |member| {
        all.push(member.to_vec());
        true
    });
    all.sort();
    all
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (-6i64..6).prop_map(|value| value.to_string().into_bytes()),
        "[a-c]{0,2}".prop_map(String::into_bytes),
        "[a-b]{11}".prop_map(String::into_bytes),
        Just(b"007".to_vec()),
        Just(b"9223372036854775807".to_vec()),
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_a_btree(steps in proptest::collection::vec((0..3u8, member()), 0..120)) {
        let (mut set, mut twin) = (Set::default(), BTreeSet::new());
        for (step, member) in steps {
            if step < 2 {
                prop_assert_eq!(set.insert(&member, &LIMITS), twin.insert(member.clone()));
            } else {
                prop_assert_eq!(set.remove(&member), twin.remove(&member));
            }
            prop_assert_eq!(set.view().contains(&mut Needle::new(&member)), twin.contains(&member));
            prop_assert_eq!(set.len(), twin.len());
        }
        let mut members: Vec<Vec<u8>> = set.view().iter().map(|member| member.to_vec()).collect();
        members.sort();
        prop_assert!(members.iter().eq(twin.iter()));
        let (mut scanned, mut cursor) = (BTreeSet::new(), 0);
        loop {
            cursor = set.view().scan(cursor, 3, &mut |member| {
                scanned.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(&scanned, &twin);
        prop_assert_eq!(&set.clone(), &set);
        if let Some((form, bytes)) = set.packed() {
            prop_assert_eq!(&Set::unpack(form, bytes), &set);
            prop_assert_eq!(Set::view_packed(form, bytes).len(), set.len());
        }
    }

    #[test]
    fn algebra_agrees_with_btrees(
        all in proptest::collection::vec(proptest::collection::vec(member(), 0..30), 1..7),
    ) {
        let twins: Vec<BTreeSet<Vec<u8>>> = all.iter().map(|set| set.iter().cloned().collect()).collect();
        let sets: Vec<Set> = all.iter().map(|members| {
            let mut set = Set::default();
            members.iter().for_each(|member| { set.insert(member, &LIMITS); });
            set
        }).collect();
        let views: Vec<SetView<'_>> = sets.iter().map(Set::view).collect();
        let (first, others) = (&twins[0], &twins[1..]);
        let both: Vec<Vec<u8>> =
            first.iter().filter(|member| others.iter().all(|other| other.contains(*member))).cloned().collect();
        prop_assert_eq!(shown(|show| intersection(&views, show)), both);
        let only: Vec<Vec<u8>> =
            first.iter().filter(|member| !others.iter().any(|other| other.contains(*member))).cloned().collect();
        prop_assert_eq!(shown(|show| difference(views[0], &views[1..], &LIMITS, show)), only);
        let any: BTreeSet<Vec<u8>> = twins.iter().flatten().cloned().collect();
        prop_assert!(shown(|show| union(&views, &LIMITS, show)).iter().eq(any.iter()));
    }
}
