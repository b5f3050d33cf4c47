//! A script that runs for too long: what others hear meanwhile, and how it is ended.

use std::time::Duration;

use crate::support::*;

const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
const NOT_BUSY: &str = "NOTBUSY No scripts in execution right now.";
const ENDLESS: &str = "while true do end";
const KILLED: &str = "ERR Script killed by user with SCRIPT KILL... script: \
                      694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7, on @user_script:1.";

/// Servers with one core, on either engine, where a script is busy soon.
fn each_engine(case: impl Fn(&Setup)) {
    for engine in [None, Some("epoll")] {
        let options = |threads| {
            let options = Options::threads(threads).with("busy-reply-threshold", "20");
            Options { engine: engine.map(str::to_owned).or(options.engine.clone()), ..options }
        };
        with_server(options, |s| {
            if s.server().threads() == 1 {
                case(s);
            }
        });
    }
}

/// Waits until a client is told that a script is busy.
#[track_caller]
fn wait_until_busy(c: &mut Client) {
    wait_until("a script is busy", Duration::from_secs(60), || c.call("PING").is_error());
}

/// Ends what runs.
#[track_caller]
fn kill(c: &mut Client) {
    c.expect("SCRIPT KILL", ok());
    wait_until("the script has ended", Duration::from_secs(60), || !c.call("PING").is_error());
}

#[test]
fn clients_of_a_busy_core_are_told_and_may_end_it() {
    each_engine(|s| {
        let (mut busy, mut c, mut half) = (s.client(), s.client(), s.client());
        c.expect("SCRIPT KILL", err(NOT_BUSY));
        half.send_raw("*2\r\n$3\r\nGET\r\n$1\r\n");
        busy.send("SET before 1");
        busy.send(&["EVAL", ENDLESS, "0"]);
        busy.send("GET before");
        wait_until_busy(&mut c);
        for request in ["PING", "GET a", "INFO", "SUBSCRIBE a", "SCRIPT EXISTS a", "CONFIG GET *", "EVAL x 0"]
        {
            c.expect(request, err(BUSY));
        }
        c.expect("GET", err("ERR wrong number of arguments for 'get' command"));
        half.send_raw("a\r\n");
        half.expect_next(err(BUSY));
        busy.send("GET before");
        // Who connects now is told too, command by command.
        let mut new = s.client();
        new.send_raw("PING\r\nSELECT 1\r\nPING\r\n");
        (0..3).for_each(|_| new.expect_next(err(BUSY)));
        drop(new);
        c.expect("MULTI", ok());
        c.expect("SET a 1", err(BUSY));
        c.expect("EXEC", err(&format!("EXECABORT Transaction discarded because of: {BUSY}")));
        c.expect("EXEC", err(&format!("EXECABORT Transaction discarded because of: {BUSY}")));
        c.expect("WATCH a", ok());
        c.expect("UNWATCH", ok());
        c.expect("DISCARD", err("ERR DISCARD without MULTI"));
        c.expect("SHUTDOWN", err(BUSY));
        c.expect("SHUTDOWN SAVE", err(BUSY));
        c.expect("SHUTDOWN ABORT", err("ERR No shutdown in progress."));
        c.expect("FUNCTION KILL", err(BUSY));
        c.expect("FUNCTION STATS", err(BUSY));
        kill(&mut c);
        busy.expect_next(ok());
        busy.expect_next(err(KILLED));
        busy.expect_next("1");
        busy.expect_next("1");
        c.expect("SCRIPT KILL", err(NOT_BUSY));
        half.expect("PING", simple("PONG"));
        busy.expect("SET before 2", ok());
    });
}

#[test]
fn a_busy_script_s_client_may_leave() {
    each_engine(|s| {
        let mut c = s.client();
        for is_mid_block in [false, true] {
            let mut busy = s.client();
            if is_mid_block {
                busy.expect("MULTI", ok());
                busy.expect(&["EVAL", ENDLESS, "0"], simple("QUEUED"));
                busy.send("EXEC");
            } else {
                busy.send(&["EVAL", ENDLESS, "0"]);
            }
            wait_until_busy(&mut c);
            drop(busy);
            // Its place is not anybody else's meanwhile.
            let mut others: Vec<Client> = (0..4).map(|_| s.client()).collect();
            others.iter_mut().for_each(|other| other.expect("PING", err(BUSY)));
            kill(&mut c);
            others.iter_mut().for_each(|other| other.expect("PING", simple("PONG")));
        }
        let clients = c.call("CLIENT LIST").text();
        assert!(!clients.contains("cmd=eval"), "{clients}");
    });
}

#[test]
fn a_busy_function_has_a_kill_of_its_own() {
    each_engine(|s| {
        let (mut busy, mut c) = (s.client(), s.client());
        let library = "#!lua name=endless\nredis.register_function('f', function() while true do end end)";
        c.expect(&["FUNCTION", "LOAD", library], bulk("endless"));
        busy.send("FCALL f 0");
        wait_until_busy(&mut c);
        c.expect("PING", err(BUSY_FUNCTION));
        c.expect("SCRIPT KILL", err(BUSY_FUNCTION));
        c.expect("SHUTDOWN", err(BUSY_FUNCTION));
        c.expect_that("FUNCTION STATS", |stats| !stats.is_error());
        c.expect("FUNCTION KILL", ok());
        busy.expect_next(err(
            "ERR Script killed by user with SCRIPT KILL... script: f, on @user_function:2.",
        ));
        c.expect("FUNCTION KILL", err(NOT_BUSY));
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn a_busy_script_that_wrote_ends_with_the_server_only() {
    for engine in [None, Some("epoll")] {
        let options = Options::threads(1).with("busy-reply-threshold", "20");
        let options = Options { engine: engine.map(str::to_owned).or(options.engine.clone()), ..options };
        let mut server = Server::start_with(&options);
        let mut busy = Client::connect(server.address(), Protocol::Resp2);
        let mut c = Client::connect(server.address(), Protocol::Resp2);
        busy.send(&["EVAL", "redis.call('set', KEYS[1], 'x') while true do end", "1", "a"]);
        wait_until_busy(&mut c);
        c.expect_error("SCRIPT KILL", "UNKILLABLE Sorry the script already executed write commands");
        c.expect("PING", err(BUSY));
        c.send("SHUTDOWN NOSAVE");
        let status = server.wait_for_exit(Duration::from_secs(60));
        assert!(status.success(), "{status}");
    }
}

#[test]
fn other_cores_serve_on_and_refuse_what_needs_the_busy_one() {
    let options = |threads| Options::threads(threads).with("busy-reply-threshold", "20");
    with_server(options, |s| {
        if s.server().threads() == 1 {
            return;
        }
        let keys = s.keys_apart(2);
        let [held, free] = [&keys[0][..], &keys[1][..]];
        let (mut busy, mut early) = (s.client(), s.client());
        busy.send(&["EVAL", ENDLESS, "1", held]);
        // What was sent before the script was busy may wait for its end.
        wait_until("a script is busy", Duration::from_secs(60), || {
            let mut c = s.client();
            c.send(&["GET", held]);
            c.recv_within(Duration::from_millis(20)) == Some(err(BUSY))
        });
        early.expect(&["GET", held], err(BUSY));
        // Who comes now comes to a core that serves.
        for _ in 0..6 {
            s.client().expect(&["GET", free], nil());
        }
        let mut c = s.client();
        c.expect(&["MGET", held, free], err(BUSY));
        c.expect("FLUSHALL", err(BUSY));
        c.expect("CLIENT LIST", err(BUSY));
        c.expect("SCRIPT KILL", ok());
        busy.expect_next(err(KILLED));
        c.expect(&["MGET", held, free], array([nil(), nil()]));
    });
}
