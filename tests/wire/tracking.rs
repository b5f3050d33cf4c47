//! Client-side caching: who is told which keys to read anew, and when.

use crate::support::*;
use std::time::Duration;

fn invalid<const N: usize>(keys: [&str; N]) -> Value {
    push([bulk("invalidate"), array(keys)])
}

/// A client of RESP3 that tracks; RESP2 is told by redirection only.
fn tracking(s: &Setup, how: &str) -> Client {
    let mut c = s.server().client(Protocol::Resp3);
    c.expect(format!("CLIENT TRACKING ON {how}").trim(), ok());
    c
}

/// Nothing was pushed to the client before now.
#[track_caller]
fn expect_silence(s: &Setup, c: &mut Client) {
    // Whatever a core has sent is here before the answer to a question that goes to all cores.
    s.client().call("PUBSUB NUMPAT");
    c.expect("PUBSUB NUMSUB", array(Vec::<Value>::new()));
}

#[test]
fn readers_are_told_once_per_read() {
    each_placement(|s| {
        let [a, b, x] = s.keys(["a", "b", "x"]);
        let mut writer = s.client();
        let mut readers: Vec<Client> = (0..4).map(|_| tracking(s, "")).collect();
        writer.expect(&["MSET", &a, "1", &b, "1"], ok());
        for c in &mut readers {
            c.expect(&["GET", &a], "1");
            c.expect(&["MGET", &a, &b], ["1", "1"]);
            c.expect(&["EXISTS", &x], 0);
        }
        writer.expect(&["SET", &a, "2"], ok());
        readers.iter_mut().for_each(|c| c.expect_next(invalid([&a])));
        writer.expect(&["SET", &a, "3"], ok());
        writer.expect(&["SET", &x, "3"], ok());
        readers.iter_mut().for_each(|c| c.expect_next(invalid([&x])));
        writer.expect(&["DEL", &b], 1);
        for c in &mut readers {
            c.expect_next(invalid([&b]));
            expect_silence(s, c);
        }
        readers[0].expect(&["GET", &a], "3");
        readers[0].expect("CLIENT TRACKING OFF", ok());
        writer.expect(&["SET", &a, "4"], ok());
        expect_silence(s, &mut readers[0]);
    });
}

#[test]
fn a_client_is_told_of_its_own_changes_behind_their_replies() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let mut c = tracking(s, "");
        c.expect(&["GET", &a], nil());
        c.expect(&["SET", &a, "1"], ok());
        c.expect_next(invalid([&a]));
        c.expect(&["MGET", &a, &b], array([bulk("1"), nil()]));
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "2"], simple("QUEUED"));
        c.expect(&["GET", &a], simple("QUEUED"));
        c.expect("EXEC", array([ok(), bulk("2")]));
        c.expect_next(invalid([&a]));
        let mut quiet = tracking(s, "NOLOOP");
        quiet.expect(&["MGET", &a, &b], array([bulk("2"), nil()]));
        quiet.expect(&["SET", &a, "3"], ok());
        s.client().expect(&["SET", &b, "3"], ok());
        quiet.expect_next(invalid([&b]));
    });
}

#[test]
fn no_stale_value_is_read_after_the_notice() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let mut writer = s.client();
        for mut c in (0..3).map(|_| tracking(s, "")) {
            for round in 0..30 {
                let text = round.to_string();
                writer.expect(&["SET", &a, &text], ok());
                c.send(&["GET", &b]);
                c.send(&["GET", &a]);
                c.expect_next(nil());
                c.expect_next(text.as_str());
                writer.expect(&["SET", &a, "new"], ok());
                c.expect_next(invalid([&a]));
                c.expect(&["GET", &a], "new");
                writer.expect(&["DEL", &a], 1);
                c.expect_next(invalid([&a]));
            }
        }
    });
}

#[test]
fn notices_may_go_to_another_connection() {
    each_placement(|s| {
        let [a] = s.keys(["a"]);
        for _ in 0..3 {
            let (mut listener, mut c, mut writer) = (s.client(), s.client(), s.client());
            let id = listener.call("CLIENT ID").int();
            let channel = "__redis__:invalidate";
            listener.expect(&["SUBSCRIBE", channel], push([bulk("subscribe"), bulk(channel), int(1)]));
            c.expect(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id.to_string()], ok());
            c.expect("CLIENT GETREDIR", id);
            c.call(&["GET", &a]);
            writer.expect(&["SET", &a, "1"], ok());
            let line = if s.is_resp3() {
                invalid([&a])
            } else {
                array([bulk("message"), bulk(channel), array([&*a])])
            };
            listener.expect_next(line);
            c.expect(&["GET", &a], "1");
            listener.expect("QUIT", ok());
            listener.expect_closed();
            writer.expect(&["SET", &a, "2"], ok());
            if s.is_resp3() {
                c.expect_next(push([bulk("tracking-redir-broken"), int(id)]));
            }
            wait_until("it is known that the other has left", Duration::from_secs(60), || {
                c.call("CLIENT TRACKINGINFO").field("flags").elements().contains(&bulk("broken_redirect"))
            });
        }
        s.client().expect(
            "CLIENT TRACKING ON REDIRECT 123456789",
            err("ERR The client ID you want redirect to does not exist"),
        );
    });
}

#[test]
fn broadcasts_tell_every_change_of_a_prefix() {
    each_placement(|s| {
        let [a, b] = s.keys(["user:a", "other:b"]);
        let mut writer = s.client();
        let mut all: Vec<Client> =
            (0..4).map(|_| tracking(s, "BCAST PREFIX user: PREFIX {tag}user:")).collect();
        for _ in 0..2 {
            writer.expect(&["SET", &b, "1"], ok());
            writer.expect(&["SET", &a, "1"], ok());
            all.iter_mut().for_each(|c| c.expect_next(invalid([&a])));
        }
        let mut every = tracking(s, "BCAST NOLOOP");
        every.expect(&["SET", &a, "2"], ok());
        all.iter_mut().for_each(|c| c.expect_next(invalid([&a])));
        writer.expect(&["SET", &b, "2"], ok());
        every.expect_next(invalid([&b]));
        drop(every);
        for c in &mut all {
            expect_silence(s, c);
            c.expect("CLIENT TRACKING OFF", ok());
        }
        writer.expect(&["SET", &a, "3"], ok());
        all.iter_mut().for_each(|c| expect_silence(s, c));
    });
}

#[test]
fn clients_choose_what_is_tracked() {
    each_placement(|s| {
        let keys = s.keys(["a", "b", "c", "d"]);
        let mut writer = s.client();
        let mut c = tracking(s, "OPTIN");
        c.expect(&["GET", &keys[0]], nil());
        c.expect("CLIENT CACHING YES", ok());
        c.expect(&["GET", &keys[1]], nil());
        c.expect(&["GET", &keys[2]], nil());
        c.expect("CLIENT CACHING YES", ok());
        c.expect("MULTI", ok());
        c.expect(&["GET", &keys[3]], simple("QUEUED"));
        c.expect("EXEC", array([nil()]));
        for key in &keys {
            writer.expect(&["SET", key, "1"], ok());
            if *key == keys[1] || *key == keys[3] {
                c.expect_next(invalid([key]));
            }
        }
        expect_silence(s, &mut c);
        let mut c = tracking(s, "OPTOUT");
        c.expect(&["GET", &keys[0]], "1");
        c.expect("CLIENT CACHING NO", ok());
        c.expect(&["GET", &keys[1]], "1");
        for key in &keys[..2] {
            writer.expect(&["SET", key, "2"], ok());
        }
        c.expect_next(invalid([&keys[0]]));
        expect_silence(s, &mut c);
    });
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    each_setup(|s| {
        let mut c = s.client();
        let switch =
            "before disabling tracking for this client, and then re-enabling it with a different mode.";
        for (words, line) in [
            ("ON PREFIX a", "PREFIX option requires BCAST mode to be enabled".to_owned()),
            ("ON OPTIN BCAST", "OPTIN and OPTOUT are not compatible with BCAST".to_owned()),
            ("ON FOO", "syntax error".to_owned()),
            ("MAYBE", "syntax error".to_owned()),
            ("ON REDIRECT x", "value is not an integer or out of range".to_owned()),
            (
                "ON BCAST PREFIX ab PREFIX abc",
                "Prefix 'ab' overlaps with another provided prefix 'abc'. Prefixes for a single client must not \
                 overlap."
                    .to_owned(),
            ),
        ] {
            c.expect(&*format!("CLIENT TRACKING {words}"), err(&format!("ERR {line}")));
        }
        c.expect_error("CLIENT CACHING YES", "ERR CLIENT CACHING can be called only");
        c.expect("CLIENT TRACKING ON OPTIN", ok());
        c.expect(
            "CLIENT TRACKING ON OPTOUT",
            err(&format!("ERR You can't switch OPTIN/OPTOUT mode {switch}")),
        );
        c.expect(
            "CLIENT TRACKING ON BCAST",
            err(&format!("ERR You can't switch BCAST mode on/off {switch}")),
        );
        c.expect_error("CLIENT CACHING NO", "ERR CLIENT CACHING NO is only valid");
        c.expect("CLIENT GETREDIR", 0);
        c.expect(
            "CLIENT TRACKINGINFO",
            map([
                ("flags", set(["on", "optin"])),
                ("redirect", int(0)),
                ("prefixes", array(Vec::<Value>::new())),
            ]),
        );
        c.expect("RESET", simple("RESET"));
        c.set_protocol(Protocol::Resp2);
        c.expect("CLIENT GETREDIR", -1);
    });
}

#[test]
fn the_table_has_a_bound() {
    with_server(Options::threads, |s| {
        let (mut writer, mut c) = (s.client(), tracking(s, ""));
        let keys: Vec<String> = (0..50).map(|n| format!("key{n}")).collect();
        keys.iter().for_each(|key| c.expect(&["GET", key], nil()));
        let info = |c: &mut Client, line: &str| c.call("INFO").text().contains(line);
        assert!(info(&mut writer, "tracking_total_keys:50\r\ntracking_total_items:50\r\n"));
        writer.expect("CONFIG SET tracking-table-max-keys 5", ok());
        for _ in 0..45 {
            assert!(matches!(c.recv(), Value::Push(_)));
        }
        wait_until("five are left", Duration::from_secs(60), || {
            info(&mut writer, "tracking_total_keys:5\r\ntracking_total_items:5\r\n")
        });
        writer.expect("FLUSHALL", ok());
        c.expect_next(push([bulk("invalidate"), nil()]));
        assert!(info(&mut writer, "tracking_clients:1\r\n"));
        expect_silence(s, &mut c);
    });
}

#[test]
fn expired_keys_are_told() {
    each_placement(|s| {
        let [a] = s.keys(["a"]);
        let (mut writer, mut c) = (s.client(), tracking(s, "NOLOOP"));
        writer.expect(&["SET", &a, "1", "PX", "50"], ok());
        c.call(&["GET", &a]);
        c.expect_next(invalid([&a]));
    });
}
