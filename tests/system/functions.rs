//! Libraries of functions on disk: whatever changes them at the same time, a file gives the same ones again.

use super::aof_load::{start_logging, stop};
use super::persistence::*;
use super::support::*;
use std::sync::Barrier;

const CLIENTS: usize = 3;

fn library(name: &str, says: usize) -> String {
    format!("#!lua name={name}\nredis.register_function('{name}', function() return {says} end)")
}

fn all(client: &mut Client) -> Value {
    client.call("FUNCTION DUMP")
}

#[test]
fn libraries_that_several_clients_change_at_once_are_the_same_after_a_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_logging(folder.path(), 3);
    let together = Barrier::new(CLIENTS);
    let address = server.address();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let together = &together;
            scope.spawn(move || {
                let mut client = Client::connect(address, Protocol::Resp2);
                for round in 0..40 {
                    let name = format!("lib{round}");
                    together.wait();
                    match (number, round % 4) {
                        (0, 1) => drop(client.call(&args!["FUNCTION", "DELETE", name])),
                        (0, 3) if round == 19 => client.expect("FUNCTION FLUSH", ok()),
                        _ => drop(client.call(&args!["FUNCTION", "LOAD", "REPLACE", library(&name, number)])),
                    }
                }
            });
        }
    });
    let mut client = server.client(Protocol::Resp2);
    let before = all(&mut client);
    client.expect_that("FUNCTION LIST", |libraries| !libraries.elements().is_empty());
    stop(server);
    assert!(all(&mut start_logging(folder.path(), 2).client(Protocol::Resp2)) == before);
}

#[test]
fn a_library_loaded_while_a_rewrite_or_a_save_begins_is_in_the_files() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_logging(folder.path(), 3);
    let address = server.address();
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let (together, server) = (&together, &server);
        scope.spawn(move || {
            let mut client = Client::connect(address, Protocol::Resp2);
            for round in 0..20 {
                together.wait();
                let library = library(&format!("lib{round}"), round);
                client.expect(&args!["FUNCTION", "LOAD", library], bulk(format!("lib{round}")));
            }
        });
        let mut client = server.client(Protocol::Resp2);
        for round in 0..20 {
            together.wait();
            client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
            wait_until("it is rewritten", PATIENCE, || {
                info(&mut client, "aof_rewrite_in_progress") == "0"
                    && info(&mut client, "aof_rewrites") == (round + 1).to_string()
            });
        }
    });
    let mut client = server.client(Protocol::Resp2);
    let before = all(&mut client);
    stop(server);
    let server = start_logging(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect_that("FUNCTION LIST", |libraries| libraries.elements().len() == 20);
    assert!(all(&mut client) == before);
}

#[test]
fn libraries_come_back_with_every_reload() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_logging(folder.path(), 4);
    let mut client = server.client(Protocol::Resp2);
    client.expect(&args!["FUNCTION", "LOAD", library("lib", 7)], bulk("lib"));
    client.expect("SET k v", ok());
    client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
    wait_until("it is rewritten", PATIENCE, || {
        info(&mut client, "aof_rewrite_in_progress") == "0" && info(&mut client, "aof_rewrites") == "1"
    });
    for command in ["DEBUG LOADAOF", "DEBUG RELOAD"].iter().cycle().take(30) {
        client.expect(*command, ok());
        client.expect("FCALL lib 0", int(7));
    }
    // In a block they change as the rest of it runs.
    client.expect("MULTI", ok());
    client.expect("SET k w", simple("QUEUED"));
    client.expect(&args!["FUNCTION", "LOAD", "REPLACE", library("lib", 8)], simple("QUEUED"));
    client.expect("FUNCTION DELETE none", simple("QUEUED"));
    client.expect("EXEC", array([ok(), bulk("lib"), err("ERR Library not found")]));
    client.expect("FCALL lib 0", int(8));
    stop(server);
    start_logging(folder.path(), 1).client(Protocol::Resp2).expect("FCALL lib 0", int(8));
}
