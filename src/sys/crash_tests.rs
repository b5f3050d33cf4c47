//! Dies in child processes: the test binary runs itself again with only the test in question, and
//! the parent reads what the child left behind.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use super::*;

const CHILD: &str = "CORESHARD_TEST_CHILD";

/// Whether this process is the one that is meant to die.
pub(crate) fn in_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this binary in a child process and returns what became of it.
pub(crate) fn rerun(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

fn log_path() -> std::path::PathBuf {
    std::path::PathBuf::from(std::env::var_os("CORESHARD_TEST_LOG").unwrap())
}

/// As `rerun`, with a log file set: (status's signal, standard error, log).
fn die(test: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("sys::crash::tests::{test}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("CORESHARD_TEST_LOG", &log)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.signal(), error, std::fs::read_to_string(log).unwrap_or_default())
}

fn prepare(shard: u16) -> ThreadGuard {
    set_log_file(Some(&log_path()));
    install_panic_hook(OnPanic::Abort);
    install_signal_handlers().unwrap();
    for _ in 0..100 {
        note_command("ping");
    }
    note_command("set");
    note_command("get");
    register_thread(Some(shard)).unwrap()
}

fn assert_report(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is missing in:\n{text}");
    }
    assert_eq!(text.matches("CRASH REPORT:").count(), 1, "one report only:\n{text}");
}

#[test]
fn a_panic_says_what_where_which_shard_and_which_commands() {
    if in_child() {
        std::thread::Builder::new()
            .name("shard-7".into())
            .spawn(|| {
                let _guard = prepare(7);
                panic!("a table lost its {} slot", "last");
            })
            .unwrap()
            .join()
            .unwrap();
    }
    let (signal, error, log) = die("a_panic_says_what_where_which_shard_and_which_commands");
    assert_eq!(signal, Some(libc::SIGABRT), "{error}");
    for text in [&error, &log] {
        assert_report(
            text,
            &[
                "panic ===",
                "what:     a table lost its last slot",
                "crash_tests.rs:",
                "thread:   shard-7 (tid ",
                "shard:    7\n",
                "commands: get < set < ping < ping",
                "version:  coreshard ",
                "=== END OF CRASH REPORT ===",
            ],
        );
    }
}

#[test]
fn a_segmentation_fault_is_reported_and_keeps_its_status() {
    if in_child() {
        let _guard = prepare(3);
        let nowhere = black_box(0x10 as *mut u8);
        // SAFETY: none; the fault is what is tested.
        unsafe { nowhere.write_volatile(1) };
    }
    let (signal, error, log) = die("a_segmentation_fault_is_reported_and_keeps_its_status");
    assert_eq!(signal, Some(libc::SIGSEGV), "{error}");
    for text in [&error, &log] {
        assert_report(
            text,
            &[
                "SIGSEGV ===",
                "what:     SIGSEGV, code 1\n",
                "address:  0x0000000000000010\n",
                "where:    pc 0x",
                "shard:    3\n",
                "commands: get < set < ping",
                "addresses (for addr2line):",
                "a_segmentation_fault_is_reported",
                "=== END OF CRASH REPORT ===",
            ],
        );
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + black_box(frame)[0] }
}

#[test]
fn an_exhausted_stack_is_reported_from_the_other_stack() {
    if in_child() {
        std::thread::spawn(|| {
            let _guard = prepare(1);
            black_box(recurse(0));
        })
        .join()
        .unwrap();
    }
    let (signal, error, log) = die("an_exhausted_stack_is_reported_from_the_other_stack");
    assert_eq!(signal, Some(libc::SIGSEGV), "{error}");
    assert_report(&log, &["SIGSEGV ===", "stack overflow?", "shard:    1\n"]);
}

#[test]
fn an_abort_from_elsewhere_is_reported() {
    if in_child() {
        let _guard = prepare(0);
        std::process::abort();
    }
    let (signal, error, log) = die("an_abort_from_elsewhere_is_reported");
    assert_eq!(signal, Some(libc::SIGABRT), "{error}");
    assert_report(&log, &["SIGABRT ===", "shard:    0\n"]);
}

#[test]
fn a_thread_that_noted_nothing_has_no_commands() {
    std::thread::spawn(|| {
        assert!(last_commands().is_empty());
        let report = String::from_utf8(panic_report("x", "y:1")).unwrap();
        assert_report(&report, &["shard:    none", "commands: none\n"]);
    })
    .join()
    .unwrap();
}

#[test]
fn the_ring_keeps_the_newest() {
    std::thread::spawn(|| {
        const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
        for index in 0..1000 {
            note_command(NAMES[index % 5]);
        }
        let last = last_commands();
        assert_eq!(last.len(), COMMANDS_KEPT);
        assert_eq!(&last[..6], ["e", "d", "c", "b", "a", "e"]);
    })
    .join()
    .unwrap();
}

#[test]
fn numbers_without_allocation() {
    let mut digits = [0; 20];
    for value in [0, 9, 10, 12345, u64::MAX] {
        assert_eq!(decimal(value, &mut digits), value.to_string().as_bytes());
    }
    assert_eq!(hexadecimal(0xdead_beef, &mut [0; 18]), b"0x00000000deadbeef");
}

#[test]
fn a_noted_command_costs_about_a_nanosecond() {
    const COUNT: u64 = 1_000_000;
    let start = crate::sys::clock::thread_cpu_ns();
    for _ in 0..COUNT {
        note_command(black_box("get"));
    }
    let each_ns = (crate::sys::clock::thread_cpu_ns() - start) as f64 / COUNT as f64;
    // Generous: unoptimised builds and busy machines; a lock or an allocation would exceed it.
    assert!(each_ns < 30.0, "{each_ns} ns");
}
