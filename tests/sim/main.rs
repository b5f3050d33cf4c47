//! The transaction protocol and causal pipelines under a deterministic scheduler.
//!
//! Several cores run on one thread; every delivery of bytes, every half turn and every single send of a flush is a
//! step chosen from a seed. The histories of the clients must have a serial order. `SIM_SEED` repeats one run,
//! `SIM_STEPS` says how many steps to take in all.

mod history;
mod io;
mod log;
mod queues;
mod reply;
mod world;

use std::sync::atomic::Ordering;

use history::check;
use world::{Planted, World};

/// Operations of one history.
const OPERATIONS: usize = 120;

/// The steps, how much was run on shards at rest, and whether the history is sound.
fn run(seed: u64, planted: Planted) -> (u64, u64, Result<(), String>) {
    let mut world = World::new(seed, planted);
    let finals = world.run(OPERATIONS);
    (world.steps(), world.ran_at_rest(), check(&world.operations, &finals))
}

#[test]
fn every_history_has_a_serial_order() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("SIM_SEED is a number");
        return run(seed, Planted::Nothing).2.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let wanted =
        std::env::var("SIM_STEPS").map_or(1_000_000, |text| text.parse().expect("SIM_STEPS is a number"));
    let (mut steps, mut at_rest, mut seed) = (0, 0, 1);
    while steps < wanted {
        let (taken, rested, result) = run(seed, Planted::Nothing);
        result.unwrap_or_else(|error| panic!("repeat with SIM_SEED={seed}: {error}"));
        steps += taken;
        at_rest += rested;
        seed += 1;
    }
    assert!(at_rest > 0, "nothing ran on shards at rest");
    println!("{steps} steps in {seed} histories, {at_rest} transactions on shards at rest");
}

#[test]
fn after_a_crash_the_log_holds_what_anybody_was_told_of_and_no_half_transaction() {
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SIM_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 1..60,
    };
    for seed in seeds {
        println!("SIM_SEED={seed}");
        let mut world = World::logging(seed, Planted::Nothing);
        let finals = world.run(OPERATIONS);
        check(&world.operations, &finals).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(world.crashes() > 5, "seed {seed}: {} crashes", world.crashes());
    }
}

#[test]
fn replies_that_do_not_wait_for_the_disk_are_found_out() {
    let lost = |seed| {
        std::panic::catch_unwind(|| World::logging(seed, Planted::RepliesBeforeTheDisk).run(OPERATIONS))
            .is_err()
    };
    let found = (1..200).find(|seed| lost(*seed));
    println!("found with seed {:?}", found.expect("the planted fault shows"));
}

#[test]
fn who_waits_for_lists_gets_every_element_once() {
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SIM_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 1..150,
    };
    for seed in seeds {
        println!("SIM_SEED={seed}");
        World::of_lists(seed).run_lists(OPERATIONS);
    }
}

#[test]
fn a_core_does_not_sleep_on_news_or_on_the_end() {
    let world = || World::new(1, Planted::Nothing);
    assert!(world().stays_awake_for(|shared| shared.durable.tell()));
    assert!(world().stays_awake_for(|shared| shared.stop.store(true, Ordering::Release)));
}

#[test]
fn a_pipeline_that_ignores_transactions_is_found_out() {
    let found = (1..2000).find(|seed| run(*seed, Planted::NoTransactionMode).2.is_err());
    println!("found with seed {:?}", found.expect("the planted fault shows"));
}

#[test]
fn taking_shards_at_rest_beside_mail_is_found_out() {
    let found = (1..2000).find(|seed| run(*seed, Planted::RestsBesideMail).2.is_err());
    println!("found with seed {:?}", found.expect("the planted fault shows"));
}
