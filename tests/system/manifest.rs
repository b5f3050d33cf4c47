//! Folders of a log whose manifest and files do not agree: the start is refused, and nothing there is changed.

use super::aof_load::*;
use super::persistence::*;
use super::support::*;
use std::collections::BTreeMap;
use std::path::Path;

const MANIFEST: &str = "appendonly.aof.manifest";

/// A folder with a log of a base and two increments that hold something.
fn with_log() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_logging(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    client.call("BGREWRITEAOF");
    wait_until("it is rewritten", PATIENCE, || info(&mut client, "aof_rewrite_in_progress") == "0");
    client.expect("SET d 4", ok());
    stop(server);
    folder
}

/// Every file below, and what is in it; folders hold nothing.
fn all_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        if path.is_dir() {
            all.extend(all_of(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
            all.insert(name, Vec::new());
        } else if name != "s" {
            all.insert(name, std::fs::read(&path).expect("it can be read"));
        }
    }
    all
}

/// A start is refused with these words, and leaves all files as they are.
#[track_caller]
fn refused_untouched(folder: &Path, said: &[&str]) {
    let before = all_of(folder);
    let text = refused(folder, &[]);
    for words in said {
        assert!(text.contains(words), "'{words}' is missing in {text}");
    }
    assert!(all_of(folder) == before, "files were changed");
}

fn in_log(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join("appendonlydir").join(name)
}

#[test]
fn files_that_no_manifest_names_stop_the_start() {
    let folder = with_log();
    let manifest = in_log(folder.path(), MANIFEST);
    let text = std::fs::read(&manifest).expect("it is there");
    std::fs::remove_file(&manifest).expect("it is there");
    let said = ["appendonly.aof.2.base.rdb, appendonly.aof.2.incr.aof", "Nothing was changed"];
    refused_untouched(folder.path(), &said);
    // One that names nothing is none.
    std::fs::write(&manifest, "# lost\n").expect("the folder is writable");
    refused_untouched(folder.path(), &said);
    std::fs::remove_file(&manifest).expect("it is there");
    // A file of Redis before 7 beside the folder makes it no clearer.
    std::fs::write(folder.path().join("appendonly.aof"), commands(&["SET z 1"])).expect("it is writable");
    refused_untouched(folder.path(), &said);
    std::fs::remove_file(folder.path().join("appendonly.aof")).expect("it is there");
    for gone in ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"] {
        let path = in_log(folder.path(), gone);
        let bytes = std::fs::read(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is there");
        refused_untouched(folder.path(), &["Nothing was changed"]);
        std::fs::write(&path, bytes).expect("the folder is writable");
    }
    std::fs::write(&manifest, text).expect("the folder is writable");
    let server = start_logging(folder.path(), 2);
    server.client(Protocol::Resp2).expect("MGET a b c d", array(["1", "2", "3", "4"].map(bulk)));
}

#[test]
fn a_manifest_that_cannot_be_read_or_names_what_is_not_there_stops_the_start() {
    let folder = with_log();
    let manifest = in_log(folder.path(), MANIFEST);
    let text = std::fs::read(&manifest).expect("it is there");
    let write = |text: &[u8]| std::fs::write(&manifest, text).expect("the folder is writable");
    for (bad, said) in [
        (&b""[..], "Found an empty AOF manifest"),
        (b"garbage\n", "Invalid AOF manifest file format"),
        (&text[..text.len() - 1], "The AOF manifest file contains too long line"),
        (
            b"file appendonly.aof.1.base.rdb seq 9 type b\n",
            "Unable to obtain the AOF file appendonly.aof.1.base.rdb",
        ),
    ] {
        write(bad);
        refused_untouched(folder.path(), &[said]);
    }
    std::fs::remove_file(&manifest).expect("it is there");
    std::fs::create_dir(&manifest).expect("the folder is writable");
    refused_untouched(folder.path(), &["can't open the AOF manifest file"]);
    std::fs::remove_dir(&manifest).expect("it is empty");
    write(&text);
    for gone in ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"] {
        let path = in_log(folder.path(), gone);
        let bytes = std::fs::read(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is there");
        refused_untouched(folder.path(), &[&format!("Unable to obtain the AOF file {gone} length")]);
        std::fs::write(&path, bytes).expect("the folder is writable");
    }
    start_logging(folder.path(), 2).client(Protocol::Resp2).expect("DBSIZE", int(4));
}

#[test]
fn a_folder_of_the_log_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("appendonlydir"), "x").expect("the folder is writable");
    refused_untouched(folder.path(), &["Not a directory"]);
}

#[test]
fn a_first_start_that_was_ended_before_its_manifest_was_written_is_no_lost_log() {
    let folder = with_log();
    let base = std::fs::read(in_log(start_of(folder.path()), "appendonly.aof.1.base.rdb"));
    let Ok(base) = base else { panic!("the first base is a snapshot of nothing") };
    let fresh = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::create_dir(fresh.path().join("appendonlydir")).expect("the folder is writable");
    for (name, bytes) in [
        ("appendonly.aof.1.base.rdb", &base[..]),
        ("appendonly.aof.1.incr.aof", b""),
        ("temp-appendonly.aof.manifest", b"file appendonly.aof.1.base.rdb seq 1 ty"),
        ("temp-appendonly.aof.base", b"REDIS00"),
    ] {
        std::fs::write(in_log(fresh.path(), name), bytes).expect("the folder is writable");
    }
    let server = start_logging(fresh.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET k v", ok());
    stop(server);
    start_logging(fresh.path(), 2).client(Protocol::Resp2).expect("GET k", bulk("v"));
    assert!(!in_log(fresh.path(), "temp-appendonly.aof.base").exists());
}

/// Begins a log there anew.
fn start_of(folder: &Path) -> &Path {
    std::fs::remove_dir_all(folder.join("appendonlydir")).expect("it is there");
    stop(start_logging(folder, 1));
    folder
}

#[test]
fn a_log_switched_on_beside_files_that_no_manifest_names_leaves_them_alone() {
    let folder = with_log();
    std::fs::remove_file(in_log(folder.path(), MANIFEST)).expect("it is there");
    // As it lies there when a log was lost that had never been rewritten.
    for kind in ["base.rdb", "incr.aof"] {
        let name = |number: u32| in_log(folder.path(), &format!("appendonly.aof.{number}.{kind}"));
        std::fs::rename(name(2), name(1)).expect("it is there");
    }
    let before = all_of(folder.path());
    let server = start(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET new 1", ok());
    client.expect("CONFIG SET appendonly yes", ok());
    wait_until("the log has begun", PATIENCE, || {
        in_log(folder.path(), MANIFEST).exists() && info(&mut client, "aof_rewrite_in_progress") == "0"
    });
    client.expect("SET more 1", ok());
    stop(server);
    let after = all_of(folder.path());
    for (name, bytes) in &before {
        assert!(after.get(name) == Some(bytes), "{name} was changed");
    }
    let server = start_logging(folder.path(), 2);
    server.client(Protocol::Resp2).expect("MGET new more a", array([bulk("1"), bulk("1"), nil()]));
}
