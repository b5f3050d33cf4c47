//! Long pipelines over several shards, slow writers, and clients that leave in the middle.

use crate::support::*;
use std::time::Duration;

/// A mixed pipeline of `count` commands over `keys`, with the replies that a map would give.
fn mixed(keys: &[String], count: usize, rng: &mut Rng) -> (Vec<Vec<Vec<u8>>>, Vec<Value>) {
    let mut model = vec![None::<i64>; keys.len()];
    let shown = |value: &Option<i64>| value.map_or(nil(), |number| bulk(number.to_string()));
    let mut commands = Vec::new();
    let mut replies = Vec::new();
    for n in 0..count {
        let (i, j) = (rng.below(keys.len()), rng.below(keys.len()));
        let (command, reply) = match rng.below(12) {
            0 | 1 => {
                model[i] = Some(n as i64);
                (args!["SET", keys[i], n].to_vec(), ok())
            }
            2 | 3 => (args!["GET", keys[i]].to_vec(), shown(&model[i])),
            4 | 5 => {
                let next = model[i].unwrap_or(0) + 1;
                model[i] = Some(next);
                (args!["INCR", keys[i]].to_vec(), int(next))
            }
            6 => (args!["MGET", keys[i], keys[j]].to_vec(), array([shown(&model[i]), shown(&model[j])])),
            7 => {
                (model[i], model[j]) = (Some(1), Some(2));
                (args!["MSET", keys[i], "1", keys[j], "2"].to_vec(), ok())
            }
            8 => {
                let gone = i64::from(model[i].take().is_some()) + i64::from(model[j].take().is_some());
                (args!["DEL", keys[i], keys[j]].to_vec(), int(gone))
            }
            9 => (args!["ECHO", n].to_vec(), bulk(n.to_string())),
            10 => match model[i].take() {
                Some(value) => {
                    model[j] = Some(value);
                    (args!["RENAME", keys[i], keys[j]].to_vec(), ok())
                }
                None => (args!["RENAME", keys[i], keys[j]].to_vec(), err("ERR no such key")),
            },
            _ => (args!["NOSUCH"].to_vec(), err("ERR unknown command 'NOSUCH', with args beginning with: ")),
        };
        commands.push(command);
        replies.push(reply);
    }
    (commands, replies)
}

#[test]
fn thousands_of_mixed_commands_keep_their_order() {
    each_placement(|s| {
        let names: Vec<String> = (0..9).map(|n| s.key(&format!("k{n}"))).collect();
        let mut rng = Rng::new(7);
        let mut c = s.client();
        for count in [1, 10, 300, 5000, 20_000] {
            c.expect("FLUSHALL", ok());
            let (commands, expected) = mixed(&names, count, &mut rng);
            let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
            let mut writer = c.writer();
            std::thread::scope(|scope| {
                scope
                    .spawn(move || std::io::Write::write_all(&mut writer, &bytes).expect("the server reads"));
                for (n, expected) in expected.iter().enumerate() {
                    let got = c.recv();
                    assert_eq!(
                        got,
                        expected.as_seen_in(s.protocol()),
                        "reply {n} of {count}: {}",
                        show(&commands[n])
                    );
                }
            });
        }
    });
}

#[test]
fn a_slow_writer_is_served() {
    each_placement(|s| {
        let names: Vec<String> = (0..3).map(|n| s.key(&format!("k{n}"))).collect();
        let (commands, expected) = mixed(&names, 60, &mut Rng::new(11));
        let mut c = s.client();
        for (command, expected) in commands.iter().zip(&expected) {
            for byte in encode(command) {
                c.send_raw([byte]);
            }
            c.expect_next(expected.clone());
        }
    });
}

#[test]
fn requests_cut_anywhere() {
    each_placement(|s| {
        let names: Vec<String> = (0..3).map(|n| s.key(&format!("k{n}"))).collect();
        let mut rng = Rng::new(13);
        for _ in 0..20 {
            let mut c = s.client();
            c.expect("FLUSHALL", ok());
            let (commands, expected) = mixed(&names, 100, &mut rng);
            let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
            let mut at = 0;
            while at < bytes.len() {
                let end = (at + 1 + rng.below(200)).min(bytes.len());
                c.send_raw(&bytes[at..end]);
                at = end;
            }
            for expected in expected {
                c.expect_next(expected);
            }
        }
    });
}

#[test]
fn garbage_ends_its_own_connection_only() {
    each_setup(|s| {
        let mut witness = s.client();
        let mut rng = Rng::new(17);
        for round in 0..100 {
            let mut c = s.raw_client();
            let count = 1 + rng.below(300);
            let mut garbage = rng.bytes(count);
            if round % 2 == 0 {
                garbage.splice(0..0, *b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*");
            }
            // The server may close before all is written.
            let _ = c.try_send_raw(&garbage);
            if round % 3 == 0 {
                c.half_close();
                c.drain();
            }
            witness.expect(&args!["SET", "k", round], ok());
            witness.expect("GET k", round.to_string());
        }
    });
}

#[test]
fn clients_that_leave_amid_big_replies() {
    each_setup(|s| {
        let mut witness = s.client();
        let far = s.key_on(s.shards() - 1, "big");
        witness.expect(&args!["SET", far, vec![b'x'; 8 << 20]], ok());
        for _ in 0..20 {
            let mut c = s.client();
            for _ in 0..8 {
                c.send(&["GET", &far]);
            }
            assert_eq!(c.recv_raw(10), b"$8388608\r\n");
            drop(c);
        }
        wait_until("the others have left", Duration::from_secs(20), || {
            witness.call("CLIENT LIST").text().lines().count() == 1
        });
        witness.expect(&["STRLEN", &far], 8 << 20);
    });
}

#[test]
fn a_pipeline_of_slow_commands_lets_others_in_between() {
    with_server(
        |_| Options::threads(1),
        |s| {
            let mut c = s.client();
            let mut other = s.client();
            c.expect("SETRANGE bits 4194303 x", int(4_194_304));
            let mut slow: Vec<u8> = Vec::new();
            for _ in 0..100 {
                slow.extend(encode(&["BITCOUNT", "bits"]));
            }
            slow.extend(encode(&["SET", "done", "1"]));
            // Were all of it one turn, its first answer would come when everything is done. The other client may be
            // late itself on a busy machine, so it tries again.
            wait_until("somebody is served in between", Duration::from_secs(60), || {
                c.expect("DEL done", int(0));
                c.send_raw(&slow);
                c.expect_next(int(4));
                let in_between = other.call("GET done") == nil();
                for _ in 1..100 {
                    c.expect_next(int(4));
                }
                c.expect_next(ok());
                in_between || {
                    c.expect("DEL done", int(1));
                    false
                }
            });
        },
    );
}
