//! Places: what the geo commands answer, with few and many members, with keys on one shard and on several. The figures
//! are those of Redis 7.0.15.

use crate::support::*;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const SYNTAX: &str = "ERR syntax error";
const NO_UNIT: &str = "ERR unsupported unit provided. please use M, KM, FT, MI";

/// Runs a case with two towns, and corners of a box around them, in each encoding.
#[track_caller]
fn each_form(case: impl Fn(&Setup, &mut Client, &str)) {
    each_placement(|s| {
        for entries in ["128", "0"] {
            s.config("zset-max-listpack-entries", entries);
            let mut c = s.client();
            c.expect("FLUSHALL", ok());
            let k = &s.key("Sicily");
            c.expect(
                &["GEOADD", k, "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"],
                2,
            );
            c.expect(&["GEOADD", k, "12.758489", "38.788135", "edge1", "17.241510", "38.788135", "edge2"], 2);
            case(s, &mut c, k);
        }
    });
}

fn words(text: &str) -> Value {
    array(text.split_whitespace())
}

#[test]
fn places_are_added() {
    each_form(|_, c, k| {
        c.expect(&["GEOADD", k, "NX", "1", "1", "Palermo", "2", "2", "new"], 1);
        c.expect(&["GEOADD", k, "XX", "CH", "1", "1", "Palermo", "2", "2", "newer"], 1);
        c.expect(&["ZCARD", k], 5);
        c.expect(&["ZSCORE", k, "Catania"], double("3479447370796909"));
        for (place, error) in [
            ("181 1", "ERR invalid longitude,latitude pair 181.000000,1.000000"),
            ("1 86", "ERR invalid longitude,latitude pair 1.000000,86.000000"),
            ("x 1", "ERR value is not a valid float"),
        ] {
            let (longitude, latitude) = place.split_once(' ').expect("two words");
            c.expect(&["GEOADD", k, longitude, latitude, "m"], err(error));
        }
        c.expect(&["GEOADD", k, "1", "1", "m", "2"], err(SYNTAX));
        c.expect(&["GEOADD", k, "NX", "XX", "1", "1", "m"], err(SYNTAX));
    });
}

#[test]
fn places_are_shown() {
    each_form(|s, c, k| {
        let palermo = array([double("13.36138933897018433"), double("38.11555639549629859")]);
        c.expect(&["GEOPOS", k, "Palermo", "no"], array([palermo, nil_array()]));
        c.expect(
            &["GEOHASH", k, "Palermo", "Catania", "no"],
            array([bulk("sqc8b49rny0"), bulk("sqdtr74hyu0"), nil()]),
        );
        c.expect(&["GEOPOS", k], words(""));
        c.expect(&["GEOHASH", &s.key("no"), "m"], array([nil()]));
        for (unit, distance) in
            [("m", "166274.1516"), ("KM", "166.2742"), ("ft", "545518.8700"), ("mi", "103.3182")]
        {
            c.expect(&["GEODIST", k, "Palermo", "Catania", unit], distance);
        }
        c.expect(&["GEODIST", k, "Palermo", "Catania"], "166274.1516");
        c.expect(&["GEODIST", k, "Palermo", "no"], nil());
        c.expect(&["GEODIST", k, "Palermo", "Catania", "miles"], err(NO_UNIT));
        c.expect(&["GEODIST", &s.key("no"), "a", "b"], nil());
    });
}

#[test]
fn circles_and_boxes() {
    each_form(|s, c, k| {
        let from = ["GEOSEARCH", k, "FROMLONLAT", "15", "37"];
        let search = |more: &[&'static str]| [&from[..], more].concat();
        c.expect(&search(&["BYRADIUS", "200", "km", "ASC"])[..], words("Catania Palermo"));
        c.expect(&search(&["BYRADIUS", "200", "km", "DESC", "COUNT", "1"])[..], words("Palermo"));
        c.expect(&search(&["BYRADIUS", "200", "km", "COUNT", "1"])[..], words("Catania"));
        c.expect(&search(&["BYBOX", "400", "400", "km", "DESC"])[..], words("edge1 edge2 Palermo Catania"));
        c.expect(&search(&["BYRADIUS", "1", "m"])[..], words(""));
        let catania = array([
            bulk("Catania"),
            bulk("56.4413"),
            int(3479447370796909),
            array([double("15.08726745843887329"), double("37.50266842333162032")]),
        ]);
        c.expect(
            &search(&["WITHCOORD", "WITHHASH", "BYRADIUS", "100", "km", "WITHDIST"])[..],
            array([catania.clone()]),
        );
        c.expect(
            &["GEORADIUS", k, "15", "37", "100", "km", "WITHDIST", "WITHHASH", "WITHCOORD"],
            array([catania]),
        );
        c.expect(&["GEORADIUS_RO", k, "15", "37", "200", "km", "ASC"], words("Catania Palermo"));
        c.expect(&["GEORADIUSBYMEMBER", k, "Palermo", "200", "km", "DESC"], words("Catania edge1 Palermo"));
        c.expect(&["GEORADIUSBYMEMBER_RO", k, "Palermo", "100", "km", "ASC"], words("Palermo edge1"));
        c.expect(&["GEOSEARCH", k, "FROMMEMBER", "Palermo", "BYRADIUS", "0", "m"], words("Palermo"));
        assert_eq!(c.call(&search(&["BYRADIUS", "500", "km", "COUNT", "2", "ANY"])[..]).elements().len(), 2);
        let no = &s.key("no");
        c.expect(&["GEOSEARCH", no, "FROMMEMBER", "x", "BYRADIUS", "1", "m"], words(""));
        c.expect(&["GEORADIUSBYMEMBER", no, "x", "1", "m"], words(""));
    });
}

#[test]
fn polygons() {
    each_form(|s, c, k| {
        if s.is_redis() {
            return;
        }
        let square = ["BYPOLYGON", "4", "13", "37", "16", "37", "16", "39", "13", "39", "ASC"];
        c.expect(&[&["GEOSEARCH", k], &square[..]].concat()[..], words("Catania Palermo"));
        let far = ["BYPOLYGON", "3", "-13", "-37", "-16", "-37", "-16", "-39"];
        c.expect(&[&["GEOSEARCH", k], &far[..]].concat()[..], words(""));
        c.expect(
            &["GEOSEARCH", k, "BYPOLYGON", "2", "1", "1", "2", "2"],
            err("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"),
        );
        c.expect(&["GEOSEARCH", k, "BYPOLYGON", "9", "1", "1", "2", "2"], err(SYNTAX));
    });
}

#[test]
fn results_are_stored() {
    each_form(|s, c, k| {
        let to = &s.key("to");
        c.expect(
            &[
                "GEOSEARCHSTORE",
                to,
                k,
                "FROMLONLAT",
                "15",
                "37",
                "BYBOX",
                "400",
                "400",
                "km",
                "ASC",
                "COUNT",
                "3",
            ],
            3,
        );
        c.expect(&["ZRANGE", to, "0", "-1"], words("Palermo Catania edge2"));
        c.expect(&["ZSCORE", to, "Catania"], double("3479447370796909"));
        c.expect(
            &["GEOSEARCHSTORE", to, k, "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km", "STOREDIST"],
            2,
        );
        c.expect(&["ZRANGE", to, "0", "-1"], words("Catania Palermo"));
        c.expect(&["ZSCORE", to, "Catania"], double("56.441257870158204"));
        c.expect(&["GEORADIUS", k, "15", "37", "200", "km", "STORE", to], 2);
        c.expect(&["ZRANGE", to, "0", "-1"], words("Palermo Catania"));
        c.expect(&["GEORADIUS", k, "15", "37", "1", "m", "STORE", to], 0);
        c.expect(&["EXISTS", to], 0);
        c.expect(&["GEORADIUSBYMEMBER", k, "Palermo", "100", "km", "STOREDIST", to], 2);
        c.expect(&["ZRANGE", to, "0", "-1"], words("Palermo edge1"));
        c.expect(&["GEORADIUSBYMEMBER", &s.key("no"), "x", "1", "m", "STORE", to], 0);
        c.expect(&["EXISTS", to], 0);
        c.expect(
            &["GEORADIUS", k, "15", "37", "200", "km", "STORE", to, "WITHDIST"],
            err("ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"),
        );
        c.expect(&["GEORADIUS_RO", k, "15", "37", "200", "km", "STORE", to], err(SYNTAX));
        if !s.is_redis() {
            // The key that is written is the one the command was sent for.
            c.expect(&["GEORADIUS", k, "15", "37", "1", "km", "STORE", to, "STORE", k], err(SYNTAX));
        }
    });
}

#[test]
fn what_searches_refuse() {
    each_form(|s, c, k| {
        for (line, error) in [
            ("FROMMEMBER no BYRADIUS 1 m", "ERR could not decode requested zset member"),
            ("FROMLONLAT 1 1 BYRADIUS -1 m", "ERR radius cannot be negative"),
            ("FROMLONLAT 1 1 BYRADIUS x m", "ERR need numeric radius"),
            ("FROMLONLAT 1 1 BYRADIUS 1 miles", NO_UNIT),
            ("FROMLONLAT 1 1 BYBOX 1 -1 m", "ERR height or width cannot be negative"),
            ("FROMLONLAT 1 1 BYBOX x 1 m", "ERR need numeric width"),
            ("FROMLONLAT 1 1 BYBOX 1 x m", "ERR need numeric height"),
            ("FROMLONLAT 1 1 BYBOX 1 1 m BYRADIUS 1 m", SYNTAX),
            ("FROMLONLAT 1 1 FROMMEMBER Palermo BYRADIUS 1 m", SYNTAX),
            ("FROMLONLAT 1 1 BYRADIUS 1 m COUNT 0", "ERR COUNT must be > 0"),
            ("FROMLONLAT 1 1 BYRADIUS 1 m ANY", "ERR the ANY argument requires COUNT argument"),
            (
                "BYRADIUS 1 m ASC WITHDIST",
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
            ),
            (
                "FROMLONLAT 1 1 ASC WITHDIST",
                "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
            ),
            ("FROMLONLAT 1 1 BYRADIUS 1 m STOREDIST", SYNTAX),
        ] {
            let line: Vec<&str> = ["GEOSEARCH", k].into_iter().chain(line.split(' ')).collect();
            c.expect(&line[..], err(error));
        }
        let t = &s.key("t");
        c.expect(&["SET", t, "v"], ok());
        c.expect(&["GEOSEARCH", t, "FROMLONLAT", "1", "1", "BYRADIUS", "1", "m"], err(WRONG_TYPE));
        c.expect(&["GEOADD", t, "1", "1", "m"], err(WRONG_TYPE));
        c.expect(&["GEOPOS", t, "m"], err(WRONG_TYPE));
    });
}
