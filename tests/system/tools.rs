//! The tools beside the server: files converted and compared.

use super::persistence::*;
use super::support::*;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Runs a tool: its exit code and what it printed.
pub fn tool<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>) -> (i32, String) {
    let mut command = Command::new(Options::threads(1).binary);
    let output = command.arg(name).args(args).output().expect("it can be started");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().expect("it ends by itself"), text)
}

fn verify(a: impl AsRef<OsStr>, b: impl AsRef<OsStr>) -> (i32, String) {
    tool("verify", [a.as_ref(), b.as_ref()])
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("the folder is writable");
}

/// A server with all there is, saved in its folder.
fn saved(folder: &Path, newer: bool) -> Server {
    let server = start(folder, 2);
    let mut client = server.client(Protocol::Resp2);
    fill(&mut client, newer);
    client.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 7 end)",
    ]);
    client.expect("SAVE", ok());
    server
}

#[test]
fn a_file_of_every_version_holds_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = saved(folder.path(), false);
    let original = folder.path().join("dump.rdb");
    for version in ["12", "11", "10", "9"] {
        let path = folder.path().join(format!("v{version}.rdb"));
        let to = [OsStr::new("--to-version"), OsStr::new(version)];
        let args = [original.as_os_str(), path.as_os_str()].into_iter().chain(to);
        let (code, text) = tool("convert", args);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(&format!("from version 11 to {version}")), "{text}");
        let bytes = std::fs::read(&path).expect("it was converted");
        assert_eq!(String::from_utf8_lossy(&bytes[..9]), format!("REDIS{version:0>4}"));
        let (code, text) = verify(&original, &path);
        match version {
            "9" => assert!(code == 1 && text.contains("the library '#!lua name=lib': only in A"), "{text}"),
            _ => assert!(code == 0 && text.contains(", 0 differences"), "{text}"),
        }
        let back = folder.path().join(format!("v{version}-back.rdb"));
        let (code, text) = tool("convert", [&path, &back]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(verify(&back, &path).0, 0);
        // The server itself holds what the file does.
        let (code, text) = verify(server.address().to_string(), &path);
        assert_eq!(code, if version == "9" { 1 } else { 0 }, "{text}");
    }
    assert_eq!(verify(server.address().to_string(), server.address().to_string()).0, 0);
    let redis = Path::new("/usr/bin/redis-server");
    if redis.exists() {
        let other = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::copy(folder.path().join("v10.rdb"), other.path().join("dump.rdb"))
            .expect("it can be copied");
        let mut options = at(other.path(), 1);
        options.binary = redis.into();
        let theirs = ready(Server::start_with(&options));
        let (code, text) = verify(server.address().to_string(), theirs.address().to_string());
        assert_eq!(code, 0, "{text}");
        theirs.client(Protocol::Resp2).call("XGROUP SETID stream:small g 0");
        let (code, text) = verify(&original, theirs.address().to_string());
        assert!(code == 1 && text.contains("db0 'stream:small': the stream's groups differ"), "{text}");
    }
}

#[test]
fn a_file_with_a_key_twice_is_not_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (once, twice) = (folder.path().join("once.rdb"), folder.path().join("twice.rdb"));
    write(&once, b"REDIS0011\xfe\x00\x00\x01k\x01a\xff\0\0\0\0\0\0\0\0");
    write(&twice, b"REDIS0011\xfe\x00\x00\x01k\x01a\x00\x01k\x01b\xff\0\0\0\0\0\0\0\0");
    assert_eq!(verify(&once, &once).0, 0);
    for (a, b) in [(&once, &twice), (&twice, &once), (&twice, &twice)] {
        let (code, text) = verify(a, b);
        assert!(code == 2 && text.contains("twice.rdb: db0 'k' is there twice"), "{code}: {text}");
    }
}

#[test]
fn differences_are_found_and_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = saved(folder.path(), true);
    let (before, after) = (folder.path().join("before.rdb"), folder.path().join("dump.rdb"));
    std::fs::rename(&after, &before).expect("it was saved");
    let mut client = server.client(Protocol::Resp2);
    for command in [
        "SELECT 0",
        "SET new 1",
        "DEL int",
        "APPEND short x",
        "PEXPIREAT volatile 9000000000000",
        "HPERSIST hash:small FIELDS 1 item:1",
        "ZADD zset:big 7 item:1",
        "LSET list:small 0 other",
        "MOVE long 5",
        "XADD stream:big * a b",
        "SELECT 2",
        "RENAME elsewhere anywhere",
        "SAVE",
    ] {
        client.expect_that(command, |reply| !reply.is_error());
    }
    let (code, text) = verify(&before, &after);
    assert_eq!(code, 1, "{text}");
    for line in [
        "db0 'new': only in B",
        "db0 'int': only in A",
        "db0 'short': strings of 5 and 6 bytes",
        "and 9000000000000",
        "db0 'hash:small': the deadlines of its fields differ",
        "db0 'zset:big': zsets of the same size that differ",
        "db0 'list:small': lists of the same size that differ",
        "db0 'long': only in A",
        "db5 'long': only in B",
        "db0 'stream:big': streams of 700 and 701 elements",
        "db2 'elsewhere': only in A",
        "db2 'anywhere': only in B",
        ", 12 differences",
    ] {
        assert!(text.contains(line), "'{line}' is missing in {text}");
    }
    let few = [before.as_os_str(), after.as_os_str(), OsStr::new("--lines"), OsStr::new("2")];
    let (code, text) = tool("verify", few);
    assert!(code == 1 && text.lines().count() == 4 && text.contains("... and 10 more"), "{text}");
    // What the old versions do not know is told of.
    let old = folder.path().join("old.rdb");
    let args = [before.as_os_str(), old.as_os_str(), OsStr::new("--to-version"), OsStr::new("9")];
    let (code, text) = tool("convert", args);
    assert!(
        code == 0 && text.contains("2 deadlines of hash fields, 1 libraries of functions, 0 keys"),
        "{text}"
    );
    let (code, text) = verify(&before, &old);
    assert!(code == 1 && text.contains(", 3 differences"), "{text}");
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let of = |name: &str| folder.path().join(name);
    let empty = b"REDIS0011\xff\0\0\0\0\0\0\0\0";
    write(&of("empty.rdb"), empty);
    write(&of("bad.rdb"), b"REDIS0011\x00\x01k\x05v");
    write(&of("there.rdb"), b"something");
    let refused = |args: &[&OsStr], said: &str| {
        let (code, text) = tool("convert", args);
        assert!(code == 1 && text.contains(said), "{text}");
    };
    refused(&[of("bad.rdb").as_os_str(), of("new.rdb").as_os_str()], "ends early at offset 14");
    refused(&[of("none.rdb").as_os_str(), of("new.rdb").as_os_str()], "No such file");
    refused(&[of("empty.rdb").as_os_str(), of("there.rdb").as_os_str()], "it exists already");
    refused(&[of("empty.rdb").as_os_str(), of("no/new.rdb").as_os_str()], "No such file");
    let version =
        [of("empty.rdb").into_os_string(), of("new.rdb").into_os_string(), "--to-version".into(), "8".into()];
    refused(&version.each_ref().map(|arg| arg.as_os_str()), "version 8 cannot be written");
    refused(&[OsStr::new("x")], "usage");
    assert_eq!(std::fs::read(of("there.rdb")).expect("it stays"), b"something");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 3, "nothing new is left");
    for (a, b, said) in [
        (of("empty.rdb"), of("bad.rdb"), "ends early at offset 14"),
        (of("none.rdb"), of("empty.rdb"), "No such file"),
        (of("empty.rdb"), "127.0.0.1:1".into(), "127.0.0.1:1: "),
        (of("empty.rdb"), folder.path().to_owned(), "this folder holds no log"),
    ] {
        let (code, text) = verify(&a, &b);
        assert!(code == 2 && text.contains(said), "{code}: {text}");
    }
    let (code, text) = verify(of("empty.rdb"), of("empty.rdb"));
    assert!(code == 0 && text.contains("A has 0 keys, B has 0"), "{text}");
    // Keys that are over are nowhere; modules' data cannot be compared.
    write(&of("over.rdb"), b"REDIS0011\xfc\x01\0\0\0\0\0\0\0\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0");
    assert_eq!(verify(of("empty.rdb"), of("over.rdb")).0, 0);
    write(&of("module.rdb"), b"REDIS0011\x07\x01k\x81\0\0\0\0\0\0\0\x01\0\xff\0\0\0\0\0\0\0\0");
    let (code, text) = verify(of("empty.rdb"), of("module.rdb"));
    assert!(code == 1 && text.contains("not compared: ") && text.contains("data of the module"), "{text}");
    let (code, text) = tool("convert", [of("module.rdb"), of("without.rdb")]);
    assert!(code == 0 && text.contains("1 pieces of modules' data are left out"), "{text}");
}

#[test]
fn logs_and_snapshots_become_each_other() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = saved(folder.path(), false);
    let original = folder.path().join("dump.rdb");
    let of = |name: &str| folder.path().join(name);
    for (name, more) in [("with", &[][..]), ("without", &["--commands"][..])] {
        let log = of(name);
        let args = [original.as_os_str(), log.as_os_str(), OsStr::new("--format"), OsStr::new("aof")];
        let (code, text) = tool("convert", args.into_iter().chain(more.iter().map(OsStr::new)));
        assert!(code == 0 && text.contains("to a log"), "{text}");
        let base = if more.is_empty() { "appendonly.aof.1.base.rdb" } else { "appendonly.aof.1.base.aof" };
        assert!(
            log.join(base).exists(),
            "{:?}",
            std::fs::read_dir(&log).expect("it was made").collect::<Vec<_>>()
        );
        let (code, text) = verify(&original, &log);
        assert_eq!(code, 0, "{text}");
        let redis = Path::new("/usr/bin/redis-server");
        if redis.exists() {
            let other = tempfile::tempdir().expect("a temporary folder can be made");
            std::fs::create_dir(other.path().join("appendonlydir")).expect("it is new");
            for file in std::fs::read_dir(&log).expect("it was made") {
                let file = file.expect("it can be read");
                let to = other.path().join("appendonlydir").join(file.file_name());
                std::fs::copy(file.path(), to).expect("it can be copied");
            }
            let mut options = at(other.path(), 1).with("appendonly", "yes");
            options.binary = redis.into();
            let theirs = ready(Server::start_with(&options));
            let (code, text) = verify(server.address().to_string(), theirs.address().to_string());
            assert_eq!(code, 0, "{text}");
        }
        let back = of(&format!("{name}.rdb"));
        let args = [log.as_os_str(), back.as_os_str(), OsStr::new("--to-version"), OsStr::new("10")];
        let (code, text) = tool("convert", args);
        assert_eq!(code, 0, "{text}");
        assert_eq!(verify(&back, &original).0, 0);
    }
    // Logs of Redis before 7 are one file: commands, or a snapshot and commands behind it.
    let commands = b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
    write(&of("old.aof"), commands);
    let header = b"REDIS0009\xfa\x0caof-preamble\xc0\x01\xfe\x00\x00\x01a\x01b\xff\0\0\0\0\0\0\0\0";
    write(&of("preamble.aof"), &[&header[..], commands].concat());
    let (code, text) = verify(of("old.aof"), of("preamble.aof"));
    assert!(code == 1 && text.contains("db0 'a': only in B") && text.contains(", 1 differences"), "{text}");
    let bytes = std::fs::read(of("preamble.aof")).expect("it stays");
    assert_eq!(bytes, [&header[..], commands].concat());
    // What is cut off is not repaired.
    write(&of("cut.aof"), &commands[..commands.len() - 4]);
    let (code, text) = verify(of("cut.aof"), of("old.aof"));
    assert!(code == 2 && text.contains("Unexpected end of file"), "{code}: {text}");
    let (code, text) = tool("convert", [of("cut.aof"), of("new.rdb")]);
    assert!(code == 1 && text.contains("Unexpected end of file"), "{code}: {text}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("it is there").map(|file| file.unwrap()).collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().starts_with("temp")), "{left:?}");
}
