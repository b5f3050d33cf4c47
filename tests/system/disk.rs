//! Disks that take no snapshot: the last one stays whole, nothing half written is left, and it is said.

use super::persistence::*;
use super::support::*;
use std::path::Path;

/// How long files of the server may become; longer ones fail like on a full disk.
fn limit_files(server: &Server, bytes: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(server.pid() as i32).expect("a child has a number");
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("it is our child");
}

/// A server with save points, a snapshot, and changes since.
fn saved(folder: &Path) -> (Server, Client, Vec<u8>) {
    let server = ready(Server::start_with(&at(folder, 2).with("save", "100000 100000")));
    let mut client = server.client(Protocol::Resp2);
    fill(&mut client, true);
    client.expect("SELECT 0", ok());
    client.expect("SAVE", ok());
    client.expect("SET since 1", ok());
    let before = std::fs::read(folder.join("dump.rdb")).expect("it was saved");
    (server, client, before)
}

/// Saves in both ways, which must fail; the last snapshot is what it was, and nothing else is there but `others`.
fn cannot_save(
    folder: &Path,
    server: &Server,
    client: &mut Client,
    before: &[u8],
    said: &str,
    others: usize,
) {
    for command in ["SAVE", "BGSAVE"] {
        let reply = client.call(command);
        assert!(reply.is_error() == (command == "SAVE"), "{command}: {reply}");
        wait_until("it has failed", PATIENCE, || info(client, "rdb_bgsave_in_progress") == "0");
        assert_eq!(info(client, "rdb_last_bgsave_status"), "err");
        assert_ne!(info(client, "rdb_changes_since_last_save"), "0");
        client.expect_error("SET since 2", "MISCONF Redis is configured to save RDB snapshots");
        client.expect("GET since", bulk("1"));
        let now = std::fs::read(folder.join("dump.rdb")).expect("it stays");
        assert!(now == before, "the last snapshot was changed");
        let files: Vec<_> = std::fs::read_dir(folder).expect("it is there").collect();
        assert_eq!(files.len(), 1 + others, "{files:?}");
    }
    let log = server.log();
    assert!(log.contains("Saving fails: ") && log.contains(said), "'{said}' is missing in {log}");
}

/// Saves, and everything is as it should be; also after a start.
fn can_save_again(folder: &Path, server: Server, mut client: Client) {
    client.expect("SAVE", ok());
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    client.expect("SET since 3", ok());
    client.expect("SAVE", ok());
    let wanted = digest(&mut client);
    drop(client);
    kill(server);
    let server = start(folder, 1);
    assert_eq!(digest(&mut server.client(Protocol::Resp2)), wanted);
}

#[test]
fn a_full_disk_leaves_the_last_snapshot_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (server, mut client, before) = saved(folder.path());
    // The middle, the end, the checksum do not fit. The log is a file too, and is shorter.
    let all = before.len() as u64;
    for bytes in [all / 2, all - 100, all - 4] {
        limit_files(&server, Some(bytes));
        cannot_save(folder.path(), &server, &mut client, &before, "File too large", 0);
    }
    limit_files(&server, None);
    can_save_again(folder.path(), server, client);
}

#[test]
fn a_name_that_is_taken_leaves_the_last_snapshot_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (server, mut client, before) = saved(folder.path());
    let taken = folder.path().join(format!("temp-{}.rdb", server.pid()));
    std::fs::create_dir(&taken).expect("the folder is new");
    cannot_save(folder.path(), &server, &mut client, &before, "Is a directory", 1);
    std::fs::remove_dir(&taken).expect("it is empty");
    can_save_again(folder.path(), server, client);
}

#[test]
fn what_cannot_be_renamed_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = ready(Server::start_with(&at(folder.path(), 2).with("save", "100000 100000")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET k v", ok());
    let place = folder.path().join("dump.rdb");
    std::fs::create_dir(&place).expect("nothing was saved yet");
    for command in ["SAVE", "BGSAVE"] {
        let reply = client.call(command);
        assert!(reply.is_error() == (command == "SAVE"), "{command}: {reply}");
        wait_until("it has failed", PATIENCE, || info(&mut client, "rdb_bgsave_in_progress") == "0");
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
        client.expect_error("SET k w", "MISCONF");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("it is there").count(),
            1,
            "the temporary file goes"
        );
    }
    assert!(server.log().contains("renaming to"), "{}", server.log());
    std::fs::remove_dir(&place).expect("it is empty");
    client.expect("SAVE", ok());
    client.expect("SET k w", ok());
}

#[test]
fn a_folder_that_may_not_be_written_leaves_the_last_snapshot_whole() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (server, mut client, before) = saved(folder.path());
    let may = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), permissions).expect("it is ours");
    };
    may(0o555);
    if std::fs::write(folder.path().join("try"), b"").is_ok() {
        return println!("skipped: whoever runs this may write everywhere");
    }
    cannot_save(folder.path(), &server, &mut client, &before, "Permission denied", 0);
    may(0o755);
    can_save_again(folder.path(), server, client);
}
