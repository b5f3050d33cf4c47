//! The protocol itself.
use crate::support::*;

#[test]
fn smoke() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect(&["SET", &a, "1"], ok());
        c.expect(&["MGET", &a, &b], [Some("1"), None]);
        c.expect("EXISTS nothing", 0);
    });
}
