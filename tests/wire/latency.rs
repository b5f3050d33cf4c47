//! LATENCY.

use crate::support::*;

/// Has the server record an event, by a command that takes its time.
fn record(s: &Setup, c: &mut Client) {
    s.config("latency-monitor-threshold", "20");
    c.call("LATENCY RESET");
    c.expect("DEBUG SLEEP 0.03", ok());
}

#[test]
fn slow_commands_are_events() {
    each_setup(|s| {
        let mut c = s.client();
        record(s, &mut c);
        let latest = c.call("LATENCY LATEST").elements();
        assert_eq!(latest.len(), 1);
        let event = latest[0].elements();
        assert_eq!(event[0].text(), "command");
        assert!(event[2].int() >= 30 && event[3].int() >= event[2].int());
        let history = c.call("LATENCY HISTORY command").elements();
        assert_eq!(history[0].elements()[0], event[1]);
        let graph = c.call("LATENCY GRAPH command").text();
        assert!(graph.starts_with("command - high ") && graph.contains("all time high"), "{graph}");
        assert!(c.call("LATENCY DOCTOR").text().contains("command"));
        c.expect("LATENCY RESET nosuch", int(0));
        c.expect("LATENCY RESET command", int(1));
        c.expect("LATENCY LATEST", array::<Value>([]));
        c.expect("LATENCY HISTORY command", array::<Value>([]));
        c.expect("LATENCY GRAPH command", err("ERR No samples available for event 'command'"));
    });
}

#[test]
fn nothing_is_recorded_without_a_threshold() {
    each_setup(|s| {
        let mut c = s.client();
        s.config("latency-monitor-threshold", "0");
        c.call("LATENCY RESET");
        c.expect("DEBUG SLEEP 0.03", ok());
        c.expect("LATENCY LATEST", array::<Value>([]));
    });
}

#[test]
fn histograms_count_calls_of_all_shards() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CONFIG RESETSTAT", ok());
        for at in 0..20 {
            c.expect(&args!["SET", format!("k{at}"), at], ok());
        }
        c.expect("CONFIG GET port", map([("port", bulk(s.server().port().to_string()))]));
        let all = c.call("LATENCY HISTOGRAM");
        assert_eq!(all.field("set").field("calls").int(), 20);
        let steps = all.field("set").field("histogram_usec").elements();
        assert_eq!(steps.last().map(Value::int), Some(20));
        let counts: Vec<i64> = steps.chunks(2).map(|step| step[1].int()).collect();
        assert!(counts.is_sorted_by(|one, two| one < two), "{counts:?}");
        let some = c.call("LATENCY HISTOGRAM SET config nosuch get");
        let names: Vec<String> = some.elements().chunks(2).map(|pair| pair[0].text()).collect();
        assert_eq!(names[0], "set");
        assert!(names[1..].iter().all(|name| name.starts_with("config|")) && names.len() > 1, "{names:?}");
        s.config("latency-tracking", "no");
        c.expect("CONFIG RESETSTAT", ok());
        c.expect("SET k v", ok());
        c.expect("LATENCY HISTOGRAM set", map::<Value>([]));
        assert!(!c.call("INFO latencystats").text().contains("usec_set:"));
    });
}

#[test]
fn wrong_requests_are_refused() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("LATENCY nosuch", err("ERR unknown subcommand 'nosuch'. Try LATENCY HELP."));
        c.expect("LATENCY HISTORY", err("ERR wrong number of arguments for 'latency|history' command"));
        c.expect("LATENCY LATEST x", err("ERR wrong number of arguments for 'latency|latest' command"));
        assert!(c.call("LATENCY HELP").elements().len() > 10);
    });
}
