//! Places on one shard: what is recorded, and scores that are no places.

use super::ROWS;
use crate::commands::testing::Bench;
use crate::commands::zsets;

#[test]
fn additions_are_recorded_as_those_of_a_sorted_set() {
    let mut bench = Bench::new(&[ROWS, zsets::ROWS]);
    let noted = |bench: &mut Bench, command: &str| {
        let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
        bench.run_noting(&words).1
    };
    assert_eq!(noted(&mut bench, "GEOADD g 13.361389 38.115556 a 15 37 b"), ["zadd g"]);
    assert!(noted(&mut bench, "GEOADD g 13.361389 38.115556 a").is_empty());
    assert!(noted(&mut bench, "GEOSEARCH g FROMMEMBER a BYRADIUS 9 km").is_empty());
}

#[test]
fn any_score_is_some_place() {
    let mut bench = Bench::new(&[ROWS, zsets::ROWS]);
    bench.ask("ZADD g -1 a -inf b inf c 1e300 d 0.5 e 9007199254740993 f 4503599627370496 g");
    for command in [
        "GEOPOS g a b c d e f g",
        "GEOHASH g a b c d e f g",
        "GEODIST g a c",
        "GEOSEARCH g FROMMEMBER c BYRADIUS 99999 km ASC",
        "GEOSEARCH g FROMMEMBER a BYBOX 1e300 1e300 km DESC",
        "GEOSEARCH g FROMLONLAT 180 85.05112878 BYRADIUS 1e300 mi WITHDIST WITHCOORD WITHHASH",
        "GEOSEARCH g FROMLONLAT -180 -85.05112878 BYBOX inf inf mi COUNT 9223372036854775807 ANY",
        "GEOSEARCH g FROMLONLAT 0 90 BYRADIUS 1 m",
        "GEOSEARCH g BYPOLYGON 3 0 0 0 0 0 0",
        "GEOSEARCH g BYPOLYGON 9223372036854775807 0 0 0 0 0 0",
        "GEOSEARCH g BYPOLYGON 4 -180 -85 180 -85 180 85 -180 85 WITHDIST",
    ] {
        assert!(!bench.ask(command).is_empty(), "{command}");
    }
}
