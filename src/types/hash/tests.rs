//! A hash against a map of the standard library, in every form.

use super::*;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

const TIGHT: Encodings = Encodings { hash_entries: 6, hash_value_bytes: 12, ..DEFAULT };
const DEFAULT: Encodings = Encodings::DEFAULT;

fn text(text: Text<'_>) -> Vec<u8> {
    text.as_bytes(&mut itoa::Buffer::new()).to_vec()
}

fn content(hash: &Hash, now_ms: u64) -> Model {
    let mut model = Model::new();
    hash.view().for_each(now_ms, |field, value, deadline| {
        assert!(model.insert(text(field), (text(value), deadline)).is_none(), "a field is shown once");
    });
    model
}

fn live(model: &Model, now_ms: u64) -> Model {
    let is_live = |deadline: Option<u64>| deadline.is_none_or(|at| at > now_ms);
    model.iter().filter(|(_, (_, at))| is_live(*at)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[track_caller]
fn check(hash: &Hash, model: &Model, now_ms: u64) {
    hash.verify();
    assert_eq!(hash.len(), model.len());
    assert_eq!(content(hash, 0), *model);
    let seen = live(model, now_ms);
    assert_eq!(content(hash, now_ms), seen);
    assert_eq!(hash.view().live_len(now_ms), seen.len());
    let least = model.values().filter_map(|(_, at)| *at).min();
    match (hash.next_deadline(), least) {
        (None, None) => {}
        (Some(early), Some(least)) => assert!(early <= least, "the next deadline is never late"),
        // A table's bound outlives the last deadline.
        (Some(_), None) => assert!(!hash.view().has_deadlines()),
        (None, Some(_)) => panic!("a deadline is forgotten"),
    }
}

fn word(rng: &mut fastrand::Rng, long: bool) -> Vec<u8> {
    match rng.u8(0..8) {
        0..3 => rng.i64(-300..300).to_string().into_bytes(),
        3 => rng.i64(..).to_string().into_bytes(),
        4 if long => vec![rng.u8(b'a'..=b'e'); rng.usize(500..2000)],
        5 if long => vec![rng.u8(b'a'..=b'e'); rng.usize(60..300)],
        _ => (0..rng.usize(0..9)).map(|_| rng.u8(b'a'..=b'e')).collect(),
    }
}

#[test]
fn it_agrees_with_a_map_through_all_its_forms() {
    let mut forms = std::collections::HashSet::new();
    let mut shaped = 0;
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let limits = if seed % 2 == 0 { TIGHT } else { DEFAULT };
        let (with_ttl, long) = (seed % 3 == 0, seed % 5 < 2);
        let fields: Vec<Vec<u8>> =
            (0..rng.usize(1..120)).map(|_| word(&mut rng, long && seed % 7 == 0)).collect();
        let (mut hash, mut model, mut now_ms) = (Hash::default(), Model::new(), 1000);
        for step in 0..150 {
            let (due, more) = hash.expire_due(now_ms, usize::MAX, &mut |_| ());
            assert!(!more);
            let kept = live(&model, now_ms);
            assert_eq!(due, model.len() - kept.len(), "seed {seed} step {step}");
            model = kept;
            let field = fields[rng.usize(..fields.len())].clone();
            let value = word(&mut rng, long);
            let existed = model.contains_key(&field);
            match rng.u8(0..10) {
                0 if with_ttl => {
                    let at = now_ms + rng.u64(1..50);
                    assert_eq!(hash.set_deadline(&field, at), existed);
                    model.entry(field).and_modify(|entry| entry.1 = Some(at));
                }
                1 if with_ttl => {
                    let at = now_ms + rng.u64(1..50);
                    assert_eq!(hash.set(&field, &value, Ttl::Set(at), &limits), existed);
                    model.insert(field, (value, Some(at)));
                }
                2 => {
                    let had = model.get(&field).is_some_and(|entry| entry.1.is_some());
                    assert_eq!(hash.persist(&field), had);
                    model.entry(field).and_modify(|entry| entry.1 = None);
                }
                3 => {
                    assert_eq!(hash.set(&field, &value, Ttl::Keep, &limits), existed);
                    model.entry(field).or_default().0 = value;
                }
                4..6 => {
                    assert_eq!(hash.remove(&field), existed);
                    model.remove(&field);
                }
                6 => {
                    let values: Vec<Vec<u8>> = (0..rng.usize(1..20)).map(|_| word(&mut rng, long)).collect();
                    let pairs = values.iter().map(|value| {
                        let at = value.len() * 7 % fields.len();
                        (&fields[at][..], &value[..])
                    });
                    let created = hash.set_all(pairs.clone(), &limits);
                    let before = model.len();
                    for (field, value) in pairs {
                        model.insert(field.to_vec(), (value.to_vec(), None));
                    }
                    assert_eq!(created, model.len() - before);
                }
                _ => {
                    assert_eq!(hash.set(&field, &value, Ttl::Clear, &limits), existed);
                    model.insert(field, (value, None));
                }
            }
            if rng.u8(0..20) == 0 {
                now_ms += rng.u64(0..20);
            }
            check(&hash, &model, now_ms);
            let probe = &fields[rng.usize(..fields.len())];
            let seen = live(&model, now_ms);
            assert_eq!(
                hash.view().get(probe, now_ms).map(text),
                seen.get(probe).map(|entry| entry.0.clone())
            );
            assert_eq!(hash.view().deadline(probe, now_ms), seen.get(probe).map(|entry| entry.1));
            forms.insert((hash.encoding(), hash.view().is_big(), hash.view().has_deadlines()));
            // Through an entry and back.
            if let Some((form, bytes)) = hash.packed() {
                assert_eq!(Hash::unpack(form, bytes), hash);
                // All tests of a process share the room for shapes.
                shaped += usize::from(step % 25 == 0 && check_short(&hash, &fields));
            }
        }
        let copy = hash.clone();
        assert_eq!(copy, hash);
        check(&copy, &model, now_ms);
    }
    let expected = [
        ("listpack", false, false),
        ("listpackex", false, false),
        ("listpackex", false, true),
        ("hashtable", false, false),
        ("hashtable", true, false),
        ("hashtable", true, true),
    ];
    assert!(expected.iter().all(|form| forms.contains(form)), "{forms:?}");
    assert!(shaped > 0, "some were shown without their names");
}

/// If a hash has a form without its names, nobody sees a difference. True when it has.
fn check_short(hash: &Hash, fields: &[Vec<u8>]) -> bool {
    let mut short = Shortened::new();
    let Some(form) = (0..17).find_map(|_| hash.shorten(&mut short)) else { return false };
    let (long, view) = (hash.view(), Hash::view_packed(form, &short));
    assert!(short.len() <= 512 && form.kind() == Kind::Hash);
    assert_eq!(Hash::unpack(form, &short), *hash);
    assert_eq!((view.len(), view.live_len(7), view.is_empty()), (long.len(), long.len(), false));
    assert_eq!((view.form(), view.encoding()), (long.form(), long.encoding()));
    assert_eq!(view.body(), long.body());
    assert_eq!((view.next_deadline(), view.has_deadlines(), view.is_big()), (None, false, false));
    let mut near = 0;
    for field in fields {
        assert_eq!(view.get(field, 0).map(text), long.get(field, 0).map(text));
        assert_eq!(view.get_near(&mut near, field, 0).map(text), long.get(field, 0).map(text));
        assert_eq!(view.deadline(field, 0), long.deadline(field, 0));
    }
    let (mut shown, mut near) = (Vec::new(), 0);
    view.for_each(0, |field, value, _| shown.push((text(field), text(value))));
    for (field, value) in &shown {
        assert_eq!(view.get_near(&mut near, field, 0).map(text).as_ref(), Some(value));
    }
    let (mut theirs, mut scanned) = (Vec::new(), Vec::new());
    long.for_each(0, |field, value, _| theirs.push((text(field), text(value))));
    assert_eq!(view.scan(0, 1, 0, |field, value| scanned.push((text(field), text(value)))), 0);
    assert!(shown == theirs && scanned == theirs);
    let random = view.random(0, &mut || 1 << 40).map(|(field, value)| (text(field), text(value)));
    assert!(shown.contains(&random.expect("it is not empty")));
    true
}

#[test]
fn hashes_of_one_kind_are_written_without_their_names() {
    let names: Vec<Vec<u8>> = (0..5).map(|number| format!("field:{number:02}").into_bytes()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut made = |short: &mut Shortened| {
        let values: Vec<Vec<u8>> = (0..5).map(|_| (0..16).map(|_| rng.u8(b'a'..=b'z')).collect()).collect();
        let mut hash = Hash::default();
        hash.set_all(names.iter().zip(&values).map(|(name, value)| (&name[..], &value[..])), &DEFAULT);
        hash.shorten(short)
    };
    let mut short = Shortened::new();
    (0..50).position(|_| made(&mut short).is_some()).expect("soon");
    for _ in 0..100 {
        assert_eq!(made(&mut short), Some(Packed::HashShaped));
        assert_eq!(short.len(), 2 + 5 * 18, "the number of the shape and the values");
    }
    // Changed, it is of its kind as long as it has the same fields.
    let mut hash = Hash::unpack(Packed::HashShaped, &short);
    hash.set(b"field:03", b"12", Ttl::Clear, &DEFAULT);
    assert_eq!(hash.shorten(&mut short), Some(Packed::HashShaped));
    assert!(check_short(&hash, &names));
    hash.set(b"another", b"12", Ttl::Clear, &DEFAULT);
    assert_eq!(hash.shorten(&mut short), None);
    hash.remove(b"another");
    assert_eq!(hash.shorten(&mut short), Some(Packed::HashShaped));
    hash.set(b"field:01", b"v", Ttl::Set(5), &DEFAULT);
    assert_eq!(hash.shorten(&mut short), None, "deadlines have no place in it");
}

#[test]
fn what_is_written_without_unpacking_is_what_setting_would_leave() {
    let names: Vec<Vec<u8>> = [&b"written:name"[..], b"written:12", b"7", b"written:a longer name", b""]
        .map(<[u8]>::to_vec)
        .to_vec();
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut written, mut kept) = (0, 0);
    for step in 0..4000 {
        let limits = match step % 6 {
            0 | 1 => TIGHT,
            2 if step % 36 == 2 => Encodings { hash_entries: 4, ..DEFAULT },
            _ => DEFAULT,
        };
        let mut before = Hash::default();
        for name in &names {
            before.set(name, &word(&mut rng, step % 50 == 0), Ttl::Clear, &DEFAULT);
        }
        let mut short = Shortened::new();
        let form = if step % 5 < 3 { before.shorten(&mut short) } else { None };
        if form.is_none() {
            before = Hash::default();
        }
        // Mostly the same fields in their order; some left out, twice, elsewhere, or new.
        let mut fields: Vec<usize> = (0..names.len()).collect();
        if rng.bool() && form.is_some() {
            fields.retain(|_| rng.bool());
        }
        for _ in 0..rng.usize(0..4).saturating_sub(2) {
            let at = rng.usize(..=fields.len());
            fields.insert(at, rng.usize(..names.len() + 1));
        }
        let values: Vec<Vec<u8>> = fields.iter().map(|_| word(&mut rng, step % 20 == 0)).collect();
        let pairs = fields.iter().zip(&values).map(|(field, value)| {
            (names.get(*field).map_or(&b"another"[..], Vec::as_slice), value.as_slice())
        });
        let there = form.map(|form| (form, &short[..]));
        let mut room = [0; 512];
        let Some((form, bytes, created)) = Hash::write_all(there, pairs.clone(), &limits, &mut room) else {
            kept += 1;
            continue;
        };
        written += 1;
        let mut after = before.clone();
        assert_eq!(created, after.set_all(pairs, &limits), "step {step}");
        let read = Hash::unpack(form, &room[..bytes]);
        assert_eq!(read, after, "step {step}");
        assert_eq!(read.view().body(), after.view().body(), "step {step}");
        read.verify();
    }
    assert!(written > 1000 && kept > 200, "{written} {kept}");
}

#[test]
fn clients_are_told_the_encoding_that_the_limits_say() {
    let mut hash = Hash::default();
    for i in 0..6 {
        hash.set(format!("f{i}").as_bytes(), b"v", Ttl::Clear, &TIGHT);
    }
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"f0", &[b'x'; 12], Ttl::Clear, &TIGHT);
    assert_eq!(hash.encoding(), "listpack");
    let mut wide = hash.clone();
    wide.set(b"f0", &[b'x'; 13], Ttl::Clear, &TIGHT);
    assert_eq!((wide.encoding(), wide.view().is_big()), ("hashtable", false));
    wide.remove(b"f0");
    assert_eq!(wide.encoding(), "hashtable", "there is no way back");
    hash.set(b"f6", b"v", Ttl::Clear, &TIGHT);
    assert_eq!(hash.encoding(), "hashtable");
    assert!(hash.set_deadline(b"f6", 5));
    assert!(hash.view().is_big(), "wide listpacks hold no deadlines");
    let mut ex = Hash::default();
    ex.set(b"f", b"v", Ttl::Set(5), &TIGHT);
    assert!(ex.persist(b"f"));
    assert_eq!(ex.encoding(), "listpackex", "there is no way back");
}

#[test]
fn wide_listpacks_stay_small() {
    let mut hash = Hash::default();
    for i in 0..64 {
        hash.set(format!("f{i}").as_bytes(), b"v", Ttl::Clear, &TIGHT);
        assert!(!hash.view().is_big());
    }
    hash.set(b"one more", b"v", Ttl::Clear, &TIGHT);
    assert!(hash.view().is_big());
    let mut hash = Hash::default();
    hash.set(b"f", &[b'x'; 4000], Ttl::Clear, &TIGHT);
    assert!(!hash.view().is_big());
    hash.set(b"g", &[b'x'; 100], Ttl::Clear, &TIGHT);
    assert!(hash.view().is_big());
}

#[test]
fn scans_see_every_field_while_a_table_grows() {
    let mut hash = Hash::default();
    for i in 0..5000 {
        hash.set(format!("old{i}").as_bytes(), b"v", Ttl::Clear, &DEFAULT);
    }
    let (mut seen, mut cursor, mut rounds) = (std::collections::HashSet::new(), 0, 0);
    loop {
        cursor = hash.view().scan(cursor, 10, 0, |field, _| {
            seen.insert(text(field));
        });
        hash.set(format!("new{rounds}").as_bytes(), b"v", Ttl::Clear, &DEFAULT);
        rounds += 1;
        if cursor == 0 {
            break;
        }
        assert!(rounds < 2000, "a scan ends");
    }
    assert!((0..5000).all(|i| seen.contains(format!("old{i}").as_bytes())));
}

#[test]
fn random_fields_are_as_likely_as_each_other() {
    for (fields, draws) in [(7, 7 * 400), (600, 600 * 100)] {
        let mut hash = Hash::default();
        for i in 0..fields {
            hash.set(format!("{i}").as_bytes(), b"v", Ttl::Clear, &DEFAULT);
        }
        assert_eq!(hash.view().is_big(), fields > 512);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut counts = vec![0u32; fields];
        for _ in 0..draws {
            let (field, _) = hash.view().random(0, &mut || rng.u64(..)).expect("there are fields");
            let field = String::from_utf8(text(field)).expect("digits");
            counts[field.parse::<usize>().expect("digits")] += 1;
        }
        // Five deviations around what is expected.
        let expected = draws as f64 / fields as f64;
        let off = counts.iter().map(|&count| (f64::from(count) - expected).abs()).fold(0.0, f64::max);
        assert!(off < 5.0 * expected.sqrt(), "{counts:?}");
    }
}

#[test]
fn random_fields_are_live_ones() {
    for extra in [0, 600] {
        let mut hash = Hash::default();
        hash.set(b"live", b"v", Ttl::Clear, &DEFAULT);
        for i in 0..10 + extra {
            hash.set(format!("{i}").as_bytes(), b"v", Ttl::Set(5), &DEFAULT);
        }
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..50 {
            let found = hash.view().random(5, &mut || rng.u64(..)).map(|(field, _)| text(field));
            assert_eq!(found, Some(b"live".to_vec()));
        }
        assert!(hash.remove(b"live"));
        assert!(hash.view().random(5, &mut || rng.u64(..)).is_none());
    }
}

#[test]
fn bytes_are_counted_and_all_given_back_in_slices() {
    let mut hash = Hash::default();
    let empty = hash.heap_bytes();
    for i in 0..6_000 {
        let value = vec![b'x'; if i % 100 == 0 { 3000 } else { 20 }];
        hash.set(format!("field{i}").as_bytes(), &value, Ttl::Clear, &DEFAULT);
    }
    assert!(hash.heap_bytes() > 60 * 3000 + 6_000 * 29);
    for i in 0..6_000 {
        hash.set(format!("field{i}").as_bytes(), b"short", Ttl::Clear, &DEFAULT);
    }
    let Body::Big(big) = &hash.body else { panic!("it is a table") };
    assert_eq!(big.table.usage().heap_bytes, 0);
    for i in 0..1000 {
        hash.set(format!("field{i}").as_bytes(), &[b'y'; 600], Ttl::Clear, &DEFAULT);
    }
    let (mut before, mut slices) = (hash.heap_bytes(), 0);
    while !hash.drop_some(600) {
        let after = hash.heap_bytes();
        assert!(after < before, "every slice gives bytes back");
        (before, slices) = (after, slices + 1);
    }
    assert!((5..=20).contains(&slices), "{slices}");
    assert_eq!((hash.heap_bytes(), hash.len()), (empty, 0));
}

#[test]
fn expiry_of_a_table_is_sliced() {
    let mut hash = Hash::default();
    for i in 0..3000u64 {
        hash.set(format!("field{i}").as_bytes(), b"v", Ttl::Set(10 + i % 2), &DEFAULT);
    }
    assert_eq!(hash.expire_due(9, 100, &mut |_| ()), (0, false));
    let (some, more) = hash.expire_due(10, 100, &mut |_| ());
    assert!(more && (100..=200).contains(&some), "{some}");
    let mut all = some;
    loop {
        let (some, more) = hash.expire_due(10, 100, &mut |_| ());
        all += some;
        if !more {
            break;
        }
    }
    assert_eq!((all, hash.len()), (1500, 1500));
}

#[test]
fn the_filter_knows_what_it_has_seen() {
    let mut filter = Filter::default();
    let fields: Vec<String> = (0..200).map(|i| format!("field:{i:04}")).collect();
    let false_hits = fields.iter().filter(|field| filter.insert(field.as_bytes())).count();
    assert!(false_hits < 60, "{false_hits}");
    assert!(fields.iter().all(|field| filter.insert(field.as_bytes())));
    assert!(!Filter::default().insert(b""));
}
