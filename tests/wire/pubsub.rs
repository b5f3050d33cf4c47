//! Publish and subscribe: messages, confirmations, what subscribers may do, and what is told about them.

use crate::support::*;
use std::time::Duration;

/// Enough clients that several cores have some.
const CLIENTS: usize = 6;

fn subscribed(kind: &str, name: &str, count: i64) -> Value {
    push([bulk(kind), bulk(name), int(count)])
}

fn message(channel: &str, text: &str) -> Value {
    push(["message", channel, text])
}

fn pmessage(pattern: &str, channel: &str, text: &str) -> Value {
    push(["pmessage", pattern, channel, text])
}

fn clients(s: &Setup, count: usize) -> Vec<Client> {
    (0..count).map(|_| s.client()).collect()
}

#[test]
fn everyone_who_subscribed_gets_the_message() {
    each_setup(|s| {
        let mut all = clients(s, CLIENTS);
        for (index, c) in all.iter_mut().enumerate() {
            c.expect("SUBSCRIBE news", subscribed("subscribe", "news", 1));
            if index % 2 == 0 {
                c.expect("PSUBSCRIBE n?ws", subscribed("psubscribe", "n?ws", 2));
            }
        }
        for mut publisher in clients(s, 3) {
            publisher.expect("PUBLISH news hi", CLIENTS as i64 + CLIENTS as i64 / 2);
            for (index, c) in all.iter_mut().enumerate() {
                c.expect_next(message("news", "hi"));
                if index % 2 == 0 {
                    c.expect_next(pmessage("n?ws", "news", "hi"));
                }
            }
            publisher.expect("PUBLISH other hi", 0);
            publisher.expect("PUBLISH nows x", CLIENTS as i64 / 2);
            all.iter_mut().step_by(2).for_each(|c| c.expect_next(pmessage("n?ws", "nows", "x")));
        }
        all[0].expect("UNSUBSCRIBE news", subscribed("unsubscribe", "news", 1));
        s.client().expect("PUBLISH news hi", CLIENTS as i64 + CLIENTS as i64 / 2 - 1);
    });
}

#[test]
fn messages_come_in_the_order_in_which_a_connection_publishes() {
    each_setup(|s| {
        let mut all = clients(s, 4);
        for c in &mut all {
            c.expect("SUBSCRIBE one", subscribed("subscribe", "one", 1));
            c.expect("SUBSCRIBE two", subscribed("subscribe", "two", 2));
        }
        let commands: Vec<String> =
            (0..300).map(|n| format!("PUBLISH {} {n}", if n % 3 == 0 { "one" } else { "two" })).collect();
        for mut publisher in clients(s, 3) {
            let replies = publisher.pipeline(commands.iter().map(String::as_str));
            assert!(replies.iter().all(|reply| *reply == int(4)), "{replies:?}");
            for c in &mut all {
                for n in 0..300 {
                    let channel = if n % 3 == 0 { "one" } else { "two" };
                    c.expect_next(message(channel, &n.to_string()));
                }
            }
        }
    });
}

#[test]
fn what_was_written_before_a_message_is_there_when_it_comes() {
    each_placement(|s| {
        let keys = s.keys(["a", "b", "c"]);
        let mut listener = s.client();
        listener.expect("SUBSCRIBE done", subscribed("subscribe", "done", 1));
        let (mut writer, mut readers) = (s.client(), clients(s, 3));
        for round in 0..50 {
            let text = round.to_string();
            let mut commands: Vec<Vec<String>> =
                keys.iter().map(|key| vec!["SET".into(), key.clone(), text.clone()]).collect();
            commands.push(vec!["PUBLISH".into(), "done".into(), text.clone()]);
            let replies = writer.pipeline(commands.iter());
            assert_eq!(replies.last(), Some(&int(1)));
            listener.expect_next(message("done", &text));
            for reader in &mut readers {
                keys.iter().for_each(|key| reader.expect(&["GET", key], text.as_str()));
            }
        }
    });
}

#[test]
fn confirmations_count_what_is_subscribed() {
    each_setup(|s| {
        let mut c = s.client();
        c.send("SUBSCRIBE a b a");
        c.expect_next(subscribed("subscribe", "a", 1));
        c.expect_next(subscribed("subscribe", "b", 2));
        c.expect_next(subscribed("subscribe", "a", 2));
        c.expect("PSUBSCRIBE p*", subscribed("psubscribe", "p*", 3));
        c.expect("SSUBSCRIBE s", subscribed("ssubscribe", "s", 1));
        c.expect("UNSUBSCRIBE none", subscribed("unsubscribe", "none", 3));
        c.send("UNSUBSCRIBE");
        let mut names = Vec::new();
        for left in [2, 1] {
            let [kind, name, count] = c.recv().elements().try_into().unwrap();
            assert_eq!((kind, count), (bulk("unsubscribe"), int(left)));
            names.push(name);
        }
        names.sort();
        assert_eq!(names, [bulk("a"), bulk("b")]);
        let nothing = |kind: &str, count| push([bulk(kind), nil(), int(count)]);
        c.expect("UNSUBSCRIBE", nothing("unsubscribe", 1));
        c.expect("SUNSUBSCRIBE", subscribed("sunsubscribe", "s", 0));
        c.expect("SUNSUBSCRIBE", nothing("sunsubscribe", 0));
        c.expect("SUNSUBSCRIBE x", subscribed("sunsubscribe", "x", 0));
        c.expect("PUNSUBSCRIBE", subscribed("punsubscribe", "p*", 0));
        c.expect("PUNSUBSCRIBE", nothing("punsubscribe", 0));
        c.expect("GET k", nil());
    });
}

#[test]
fn shard_channels_are_channels_of_their_own() {
    each_setup(|s| {
        let mut all = clients(s, CLIENTS);
        for c in &mut all {
            c.expect("SSUBSCRIBE ch", subscribed("ssubscribe", "ch", 1));
            c.expect("PSUBSCRIBE c*", subscribed("psubscribe", "c*", 1));
        }
        let mut publisher = s.client();
        publisher.expect("SPUBLISH ch hi", CLIENTS as i64);
        publisher.expect("PUBLISH ch all", CLIENTS as i64);
        for c in &mut all {
            c.expect_next(push(["smessage", "ch", "hi"]));
            c.expect_next(pmessage("c*", "ch", "all"));
        }
    });
}

#[test]
fn a_subscriber_of_resp2_is_nothing_but_a_subscriber() {
    each_setup(|s| {
        let context =
            "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
        let mut c = s.client();
        c.expect("SUBSCRIBE only", subscribed("subscribe", "only", 1));
        if s.is_resp3() {
            c.expect("GET k", nil());
            c.expect("PING", simple("PONG"));
            c.expect("PING x", "x");
            c.expect_that("HELLO 2", |reply| !reply.is_error());
            c.set_protocol(Protocol::Resp2);
        }
        for (command, name) in
            [("GET k", "get"), ("CONFIG GET port", "config|get"), ("MULTI", "multi"), ("HELLO 3", "hello")]
        {
            c.expect(command, err(&format!("ERR Can't execute '{name}': {context}")));
        }
        c.expect("PING", ["pong", ""]);
        c.expect("PING x", ["pong", "x"]);
        c.expect("PING x y", err("ERR wrong number of arguments for 'ping' command"));
        c.expect_error("NOSUCH", "ERR unknown command 'NOSUCH'");
        c.expect_error("GET", "ERR wrong number");
        s.client().expect("PUBLISH only 1", 1);
        c.expect_next(message("only", "1"));
        c.expect("RESET", simple("RESET"));
        c.expect("GET k", nil());
        s.client().expect("PUBLISH only 2", 0);
        c.expect("SSUBSCRIBE only", subscribed("ssubscribe", "only", 1));
        c.expect_error("GET k", "ERR Can't execute 'get'");
        c.expect("QUIT", ok());
        c.expect_closed();
    });
}

#[test]
fn a_block_may_publish_and_subscribe() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let (mut c, mut listeners) = (s.client(), clients(s, 4));
        listeners.iter_mut().for_each(|l| l.expect("SUBSCRIBE block", subscribed("subscribe", "block", 1)));
        c.expect("MULTI", ok());
        for words in [args!["SET", &a, "1"].to_vec(), args!["SET", &b, "2"].to_vec()] {
            c.expect(&words, simple("QUEUED"));
        }
        c.expect("PUBLISH block 1", simple("QUEUED"));
        c.expect("SPUBLISH block 1", simple("QUEUED"));
        c.expect("PUBLISH block 2", simple("QUEUED"));
        c.expect("PUBLISH nobody 2", simple("QUEUED"));
        c.expect(&["GET", &b], simple("QUEUED"));
        s.client().expect(&["EXISTS", &a, &b], 0);
        c.expect("EXEC", array([ok(), ok(), int(4), int(0), int(4), int(0), bulk("2")]));
        for l in &mut listeners {
            l.expect_next(message("block", "1"));
            l.expect_next(message("block", "2"));
        }
        if s.is_redis() {
            // 7.0 puts the message inside of the reply.
            return;
        }
        c.expect("MULTI", ok());
        c.expect("SUBSCRIBE own", simple("QUEUED"));
        c.expect("PUBLISH own hi", simple("QUEUED"));
        c.expect("EXEC", array([subscribed("subscribe", "own", 1), int(1)]));
        c.expect_next(message("own", "hi"));
    });
}

#[test]
fn a_dropped_block_publishes_nothing() {
    each_setup(|s| {
        let (mut c, mut l) = (s.client(), s.client());
        l.expect("SUBSCRIBE dropped", subscribed("subscribe", "dropped", 1));
        c.expect("MULTI", ok());
        c.expect("PUBLISH dropped 1", simple("QUEUED"));
        c.expect("DISCARD", ok());
        c.expect("PUBLISH dropped 2", 1);
        l.expect_next(message("dropped", "2"));
    });
}

#[test]
fn who_publishes_to_himself_gets_reply_and_message() {
    each_setup(|s| {
        if !s.is_resp3() {
            return;
        }
        let mut all = clients(s, 4);
        for c in &mut all {
            c.expect("SUBSCRIBE self", subscribed("subscribe", "self", 1));
        }
        let c = &mut all[0];
        c.send("PUBLISH self me");
        // Redis 7.0: the message comes first.
        c.expect_next(message("self", "me"));
        c.expect_next(4);
    });
}

#[test]
fn messages_come_although_replies_are_off() {
    each_setup(|s| {
        let (mut c, mut publisher) = (s.client(), s.client());
        c.send("CLIENT REPLY OFF");
        c.expect("SUBSCRIBE quiet", subscribed("subscribe", "quiet", 1));
        c.send("PING");
        publisher.expect("PUBLISH quiet 1", 1);
        c.expect_next(message("quiet", "1"));
        c.expect("UNSUBSCRIBE quiet", subscribed("unsubscribe", "quiet", 0));
        c.expect("CLIENT REPLY ON", ok());
        c.send("CLIENT REPLY SKIP");
        c.expect("SUBSCRIBE quiet", subscribed("subscribe", "quiet", 1));
    });
}

#[test]
fn long_messages_arrive_whole() {
    each_setup(|s| {
        let mut all = clients(s, 4);
        for c in &mut all {
            c.expect("SUBSCRIBE long", subscribed("subscribe", "long", 1));
        }
        let mut publisher = s.client();
        for length in [0, 1, 16 * 1024 - 1, 16 * 1024, 3_000_000] {
            let text = "x".repeat(length);
            publisher.expect(&["PUBLISH", "long", &text], 4);
            publisher.expect(&["PUBLISH", "long", "short"], 4);
            for c in &mut all {
                c.expect_next(message("long", &text));
                c.expect_next(message("long", "short"));
            }
        }
    });
}

#[test]
fn names_are_bytes() {
    each_setup(|s| {
        let mut c = s.client();
        let name = b"\x00\r\n\xff";
        c.expect(&[b"SUBSCRIBE".as_slice(), name], push([bulk("subscribe"), bulk(name), int(1)]));
        c.expect(&args!["PSUBSCRIBE", ""], push([bulk("psubscribe"), bulk(""), int(2)]));
        let mut publisher = s.client();
        publisher.expect(&[b"PUBLISH".as_slice(), name, name], 1);
        c.expect_next(push([bulk("message"), bulk(name), bulk(name)]));
        publisher.expect(&args!["PUBLISH", "", "x"], 1);
        c.expect_next(push(["pmessage", "", "", "x"]));
    });
}

#[test]
fn who_left_has_no_subscriptions() {
    each_setup(|s| {
        let mut publisher = s.client();
        let mut all = clients(s, CLIENTS);
        for c in &mut all {
            c.expect("SUBSCRIBE left", subscribed("subscribe", "left", 1));
            c.expect("PSUBSCRIBE lef*", subscribed("psubscribe", "lef*", 2));
        }
        publisher.expect("PUBLISH left 1", CLIENTS as i64 * 2);
        drop(all);
        wait_until("the subscribers have left", Duration::from_secs(60), || {
            publisher.call("PUBLISH left 2") == int(0)
        });
        publisher.expect("PUBSUB CHANNELS left", array(Vec::<Value>::new()));
        publisher.expect("PUBSUB NUMSUB left", array([bulk("left"), int(0)]));
    });
}

#[test]
fn it_is_told_who_subscribed_to_what() {
    with_server(Options::threads, |s| {
        let mut asker = s.client();
        let mut all = clients(s, CLIENTS);
        for (index, c) in all.iter_mut().enumerate() {
            c.expect("SUBSCRIBE all", subscribed("subscribe", "all", 1));
            let own = format!("own{}", index % 3);
            c.expect(&["SUBSCRIBE", &own], subscribed("subscribe", &own, 2));
            c.expect("PSUBSCRIBE a*", subscribed("psubscribe", "a*", 3));
            c.expect(&["PSUBSCRIBE", &own], subscribed("psubscribe", &own, 4));
            c.expect("SSUBSCRIBE sh", subscribed("ssubscribe", "sh", 1));
        }
        asker.expect_unordered("PUBSUB CHANNELS", ["all", "own0", "own1", "own2"]);
        asker.expect_unordered("PUBSUB CHANNELS o*[01]", ["own0", "own1"]);
        asker.expect("PUBSUB CHANNELS x*", array(Vec::<Value>::new()));
        asker.expect("PUBSUB SHARDCHANNELS", ["sh"]);
        asker.expect("PUBSUB SHARDCHANNELS x", array(Vec::<Value>::new()));
        asker.expect("PUBSUB NUMPAT", 4);
        asker.expect("PUBSUB NUMSUB", array(Vec::<Value>::new()));
        let counts = [bulk("all"), int(6), bulk("x"), int(0), bulk("own1"), int(2), bulk("all"), int(6)];
        asker.expect("PUBSUB NUMSUB all x own1 all", array(counts));
        asker.expect("PUBSUB SHARDNUMSUB sh all", array([bulk("sh"), int(6), bulk("all"), int(0)]));
        asker.expect(
            "PUBSUB channels a b",
            err("ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP."),
        );
        asker.expect("PUBSUB nosuch", err("ERR unknown subcommand 'nosuch'. Try PUBSUB HELP."));
        let info = asker.call("INFO").text();
        for line in ["pubsub_clients:6", "pubsub_channels:4", "pubsub_patterns:4", "pubsubshard_channels:1"] {
            // Redis 7.0 does not count the clients.
            assert!(info.contains(line) || (s.is_redis() && line.contains("clients")), "{line} in {info}");
        }
        let list = asker.call("CLIENT LIST TYPE pubsub").text();
        assert_eq!(list.lines().count(), CLIENTS);
        assert!(
            list.lines().all(|line| line.contains(" flags=P ") && line.contains(" sub=2 psub=2 ssub=1 "))
        );
        asker.expect("CLIENT KILL TYPE pubsub", CLIENTS as i64);
        wait_until("they are gone", Duration::from_secs(60), || asker.call("PUBSUB NUMPAT") == int(0));
        all.iter_mut().for_each(|c| {
            c.drain();
        });
    });
}

#[test]
fn a_subscriber_who_does_not_read_is_closed() {
    with_server(
        |threads| Options::threads(threads).with("client-output-buffer-limit", "pubsub 1mb 0 0"),
        |s| {
            let (mut slow, mut publisher) = (s.client(), s.client());
            slow.expect("SUBSCRIBE flood", subscribed("subscribe", "flood", 1));
            let text = "x".repeat(100_000);
            wait_until("the subscriber is closed", Duration::from_secs(30), || {
                publisher.call(&["PUBLISH", "flood", &text]) == int(0)
            });
            publisher.expect("PING", simple("PONG"));
        },
    );
}

#[test]
fn subscribers_may_be_silent() {
    with_server(
        |threads| Options::threads(threads).with("timeout", "1"),
        |s| {
            let (mut subscriber, mut idle) = (s.client(), s.client());
            subscriber.expect("SUBSCRIBE patient", subscribed("subscribe", "patient", 1));
            // The other one, which said something later, is closed for its silence.
            idle.expect("PING", simple("PONG"));
            idle.expect_closed();
            s.client().expect("PUBLISH patient hi", 1);
            subscriber.expect_next(message("patient", "hi"));
        },
    );
}

#[test]
fn who_waits_for_a_key_still_gets_messages() {
    each_placement(|s| {
        if !s.is_resp3() {
            return;
        }
        let keys = s.keys(["one", "two"]);
        let mut publisher = s.client();
        for mut c in clients(s, 3) {
            c.expect("SUBSCRIBE waiting", subscribed("subscribe", "waiting", 1));
            c.send(&["BLPOP", &keys[0], &keys[1], "0"]);
            publisher.expect("PUBLISH waiting 1", 1);
            c.expect_next(message("waiting", "1"));
            wait_until("it waits", Duration::from_secs(60), || {
                publisher.call("INFO clients").text().contains("blocked_clients:1")
            });
            publisher.expect("PUBLISH waiting 2", 1);
            c.expect_next(message("waiting", "2"));
            publisher.expect(&["RPUSH", &keys[1], "v"], 1);
            c.expect_next([keys[1].as_str(), "v"]);
            c.expect("UNSUBSCRIBE", subscribed("unsubscribe", "waiting", 0));
        }
    });
}

#[test]
fn a_half_of_a_publisher_s_pipeline_is_not_lost_when_it_leaves() {
    each_setup(|s| {
        let mut all = clients(s, 4);
        all.iter_mut().for_each(|c| c.expect("SUBSCRIBE bye", subscribed("subscribe", "bye", 1)));
        let mut publisher = s.client();
        publisher.send_raw("PUBLISH bye 1\r\nPUBLISH bye 2\r\nQUIT\r\n");
        for reply in [int(4), int(4), ok()] {
            publisher.expect_next(reply);
        }
        publisher.expect_closed();
        for c in &mut all {
            c.expect_next(message("bye", "1"));
            c.expect_next(message("bye", "2"));
        }
    });
}

/// A name of this pass alone: connections of the last one may still be subscribed to theirs.
fn own(s: &Setup, name: &str) -> String {
    format!("{name}-{:?}", s.protocol())
}

fn subscribe_all(all: &mut [Client], channel: &str) {
    all.iter_mut().for_each(|c| c.expect(&["SUBSCRIBE", channel], subscribed("subscribe", channel, 1)));
}

#[test]
fn many_subscribers_get_everything_in_order() {
    each_setup(|s| {
        let (crowd, few) = (own(s, "crowd"), own(s, "few"));
        let pattern = format!("{crowd}*");
        let mut all = clients(s, 40);
        subscribe_all(&mut all, &crowd);
        // Some get more than the others, so that what these get has gaps.
        for c in all.iter_mut().step_by(3) {
            c.expect(&["SUBSCRIBE", &few], subscribed("subscribe", &few, 2));
            c.expect(&["PSUBSCRIBE", &pattern], subscribed("psubscribe", &pattern, 3));
        }
        let mut publisher = s.client();
        let long = "y".repeat(20_000);
        for round in 0..20 {
            let lines: Vec<String> =
                (0..10).map(|n| format!("PUBLISH {crowd} {round}.{n}\r\nPUBLISH {few} {n}\r\n")).collect();
            publisher.send_raw(lines.concat());
            publisher.send(&["PUBLISH", &crowd, &long]);
        }
        for _ in 0..20 {
            (0..10).for_each(|_| {
                publisher.expect_next(40 + 14);
                publisher.expect_next(14);
            });
            publisher.expect_next(40 + 14);
        }
        for (index, c) in all.iter_mut().enumerate() {
            let gets_all = index % 3 == 0;
            for round in 0..20 {
                let texts = (0..10).map(|n| format!("{round}.{n}")).chain([long.clone()]);
                for (n, text) in texts.enumerate() {
                    c.expect_next(message(&crowd, &text));
                    if gets_all {
                        c.expect_next(pmessage(&pattern, &crowd, &text));
                        if n < 10 {
                            c.expect_next(message(&few, &n.to_string()));
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn replies_of_a_subscriber_stay_between_its_messages() {
    each_setup(|s| {
        let mixed = own(s, "mixed");
        let mut all = clients(s, 20);
        subscribe_all(&mut all, &mixed);
        let mut publisher = s.client();
        for round in 0..10 {
            let text = format!("before-{round}");
            publisher.expect(&["PUBLISH", &mixed, &text], 20);
            all.iter_mut().for_each(|c| c.send(&["SUBSCRIBE", &mixed]));
            for c in &mut all {
                // What was published before a subscriber's command was sent comes before its answer.
                c.expect_next(message(&mixed, &text));
                c.expect_next(subscribed("subscribe", &mixed, 1));
            }
        }
    });
}

#[test]
fn who_is_killed_gets_what_was_published_before() {
    each_setup(|s| {
        let last = own(s, "last");
        let mut all = clients(s, 30);
        subscribe_all(&mut all, &last);
        let mut killer = s.client();
        killer.send_raw(format!(
            "PUBLISH {last} 1\r\nPUBLISH {last} 2\r\nCLIENT KILL TYPE pubsub\r\nPUBLISH {last} 3\r\n"
        ));
        killer.expect_next(30);
        killer.expect_next(30);
        assert!(matches!(killer.recv(), Value::Int(30..)));
        killer.expect_next(0);
        for c in &mut all {
            c.expect_next(message(&last, "1"));
            c.expect_next(message(&last, "2"));
            c.expect_closed();
        }
    });
}

#[test]
fn a_server_that_stops_delivers_what_was_published() {
    with_server(Options::threads, |s| {
        let mut all = clients(s, 60);
        subscribe_all(&mut all, "end");
        let mut publisher = s.client();
        publisher.send_raw("PUBLISH end bye\r\nSHUTDOWN NOSAVE\r\n");
        publisher.expect_next(60);
        for c in &mut all {
            c.expect_next(message("end", "bye"));
            c.expect_closed();
        }
    });
}

#[test]
fn messages_leave_although_a_script_is_busy() {
    with_server(
        |threads| Options::threads(threads).with("busy-reply-threshold", "20"),
        |s| {
            let mut all = clients(s, 30);
            subscribe_all(&mut all, "busy");
            let (mut publisher, mut killer) = (s.client(), s.client());
            publisher.send_raw("PUBLISH busy hi\r\nEVAL \"while true do end\" 0\r\n");
            all.iter_mut().for_each(|c| c.expect_next(message("busy", "hi")));
            wait_until("the script is killed", Duration::from_secs(30), || {
                killer.call("SCRIPT KILL") == ok()
            });
            publisher.expect_next(30);
            assert!(matches!(publisher.recv(), Value::Error(_)));
        },
    );
}
