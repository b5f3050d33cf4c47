//! The rows of the geo family: its table of contents.

use super::{add, read, search, store};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};

const READ: Access = Access::RO.and(Access::ACCESS);
const OVERWRITE: Access = Access::OW.and(Access::UPDATE);
const WRITE_GROWING: Flags = Flags::WRITE.and(Flags::DENYOOM);
const UNIT: Arg = Arg::new(
    "unit",
    ArgKind::OneOf(&[
        Arg::word("m", "M"),
        Arg::word("km", "KM"),
        Arg::word("ft", "FT"),
        Arg::word("mi", "MI"),
    ]),
);
const ORDER: Arg =
    Arg::new("order", ArgKind::OneOf(&[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")])).optional();
const COUNT_ANY_LATER: Arg = Arg::new(
    "count",
    ArgKind::Block(&[
        Arg::new("count", ArgKind::Integer).token("COUNT"),
        Arg::word("any", "ANY").optional().since("6.2.0"),
    ]),
)
.optional();
const COUNT_ANY: Arg = Arg::new(
    "count",
    ArgKind::Block(&[Arg::new("count", ArgKind::Integer).token("COUNT"), Arg::word("any", "ANY").optional()]),
)
.optional();
const MEMBER: Arg = Arg::new("member", ArgKind::String);
const LONGITUDE: Arg = Arg::new("longitude", ArgKind::Double);
const LATITUDE: Arg = Arg::new("latitude", ArgKind::Double);

const POLYGON: Arg = Arg::new(
    "polygon",
    ArgKind::Block(&[
        Arg::new("corners", ArgKind::Integer).token("BYPOLYGON"),
        Arg::new("corner", ArgKind::Block(&[LONGITUDE, LATITUDE])).multiple(),
    ]),
)
.since("9.0.0");

/// The rows of the geo family.
pub const ROWS: &[Row] = &[
    Row {
        name: "geoadd",
        arity: -5,
        flags: WRITE_GROWING,
        keys: &[KeySpec::one(1, Access::RW.and(Access::UPDATE))],
        group: Group::Geo,
        since: "3.2.0",
        summary: "Gives members their places on the globe, adding those that are missing.",
        complexity: "O(log N) for each member, with N members in the set",
        args: &[
            Arg::key("key", 0),
            Arg::new("condition", ArgKind::OneOf(&[Arg::word("nx", "NX"), Arg::word("xx", "XX")]))
                .optional()
                .since("6.2.0"),
            Arg::word("change", "CH").optional().since("6.2.0"),
            Arg::new("longitude_latitude_member", ArgKind::Block(&[LONGITUDE, LATITUDE, MEMBER])).multiple(),
        ],
        reply: Shape::Int,
        run: Run::OnShard(add::geoadd),
        ..Row::BLANK
    },
    Row {
        name: "geodist",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "3.2.0",
        summary: "Tells how far apart two members are.",
        complexity: "O(1)",
        args: &[
            Arg::key("key", 0),
            Arg::new("member1", ArgKind::String),
            Arg::new("member2", ArgKind::String),
            UNIT.optional(),
        ],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(read::geodist),
        ..Row::BLANK
    },
    Row {
        name: "geohash",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "3.2.0",
        summary: "Shows the places of members as geohash texts.",
        complexity: "O(1) for each member",
        args: &[Arg::key("key", 0), MEMBER.multiple()],
        reply: Shape::Array,
        run: Run::OnShard(read::geohash),
        ..Row::BLANK
    },
    Row {
        name: "geopos",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "3.2.0",
        summary: "Shows the places of members.",
        complexity: "O(1) for each member",
        args: &[Arg::key("key", 0), MEMBER.multiple()],
        reply: Shape::Array,
        run: Run::OnShard(read::geopos),
        ..Row::BLANK
    },
    Row {
        name: "georadius",
        arity: -6,
        flags: WRITE_GROWING,
        keys: &[
            KeySpec::one(1, READ),
            KeySpec {
                begin: Begin::Keyword { word: "STORE", from: 6 },
                find: Find::Range { last: 0, step: 1, limit: 0 },
                access: OVERWRITE,
                notes: "",
            },
            KeySpec {
                begin: Begin::Keyword { word: "STOREDIST", from: 6 },
                find: Find::Range { last: 0, step: 1, limit: 0 },
                access: OVERWRITE,
                notes: "",
            },
        ],
        group: Group::Geo,
        since: "3.2.0",
        deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
        summary: "Finds the members around a place, to show or to store them.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("key", 0),
            LONGITUDE,
            LATITUDE,
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_ANY_LATER,
            ORDER,
            Arg::key("key", 1).token("STORE").optional(),
            Arg::key("key", 2).token("STOREDIST").optional(),
        ],
        reply: Shape::Any(&[Shape::Array, Shape::Int]),
        run: Run::Hops { here: Some(search::georadius), hops: store::GEORADIUS, finish: store::FINISH },
        ..Row::BLANK
    },
    Row {
        name: "georadius_ro",
        arity: -6,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "3.2.10",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
        summary: "Finds the members around a place.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("key", 0),
            LONGITUDE,
            LATITUDE,
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_ANY_LATER,
            ORDER,
        ],
        reply: Shape::Array,
        run: Run::OnShard(search::georadius_ro),
        ..Row::BLANK
    },
    Row {
        name: "georadiusbymember",
        arity: -5,
        flags: WRITE_GROWING,
        keys: &[
            KeySpec::one(1, READ),
            KeySpec {
                begin: Begin::Keyword { word: "STORE", from: 5 },
                find: Find::Range { last: 0, step: 1, limit: 0 },
                access: OVERWRITE,
                notes: "",
            },
            KeySpec {
                begin: Begin::Keyword { word: "STOREDIST", from: 5 },
                find: Find::Range { last: 0, step: 1, limit: 0 },
                access: OVERWRITE,
                notes: "",
            },
        ],
        group: Group::Geo,
        since: "3.2.0",
        deprecated: Some((
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        )),
        summary: "Finds the members around one of them, to show or to store them.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("key", 0),
            MEMBER,
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_ANY,
            ORDER,
            Arg::key("key", 1).token("STORE").optional(),
            Arg::key("key", 2).token("STOREDIST").optional(),
        ],
        reply: Shape::Any(&[Shape::Array, Shape::Int]),
        run: Run::Hops {
            here: Some(search::georadiusbymember),
            hops: store::GEORADIUSBYMEMBER,
            finish: store::FINISH,
        },
        ..Row::BLANK
    },
    Row {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "3.2.10",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
        summary: "Finds the members around one of them.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("key", 0),
            MEMBER,
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_ANY,
            ORDER,
        ],
        reply: Shape::Array,
        run: Run::OnShard(search::georadiusbymember_ro),
        ..Row::BLANK
    },
    Row {
        name: "geosearch",
        arity: -7,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Geo,
        since: "6.2.0",
        summary: "Finds the members in a circle, a box or a polygon.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("key", 0),
            Arg::new(
                "from",
                ArgKind::OneOf(&[
                    MEMBER.token("FROMMEMBER"),
                    Arg::new("longitude_latitude", ArgKind::Block(&[LONGITUDE, LATITUDE]))
                        .token("FROMLONLAT"),
                ]),
            ),
            Arg::new(
                "by",
                ArgKind::OneOf(&[
                    Arg::new(
                        "circle",
                        ArgKind::Block(&[Arg::new("radius", ArgKind::Double).token("BYRADIUS"), UNIT]),
                    ),
                    Arg::new(
                        "box",
                        ArgKind::Block(&[
                            Arg::new("width", ArgKind::Double).token("BYBOX"),
                            Arg::new("height", ArgKind::Double),
                            UNIT,
                        ]),
                    ),
                    POLYGON,
                ]),
            ),
            ORDER,
            COUNT_ANY,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
        ],
        reply: Shape::Array,
        run: Run::OnShard(search::geosearch),
        ..Row::BLANK
    },
    Row {
        name: "geosearchstore",
        arity: -8,
        flags: WRITE_GROWING,
        keys: &[KeySpec::one(1, OVERWRITE), KeySpec::one(2, READ)],
        group: Group::Geo,
        since: "6.2.0",
        summary: "Stores the members in a circle, a box or a polygon under another key.",
        complexity: "O(N + log M) with N members in the cells around the shape and M in the set",
        args: &[
            Arg::key("destination", 0),
            Arg::key("source", 1),
            Arg::new(
                "from",
                ArgKind::OneOf(&[
                    MEMBER.token("FROMMEMBER"),
                    Arg::new("longitude_latitude", ArgKind::Block(&[LONGITUDE, LATITUDE]))
                        .token("FROMLONLAT"),
                ]),
            ),
            Arg::new(
                "by",
                ArgKind::OneOf(&[
                    Arg::new(
                        "circle",
                        ArgKind::Block(&[Arg::new("radius", ArgKind::Double).token("BYRADIUS"), UNIT]),
                    ),
                    Arg::new(
                        "box",
                        ArgKind::Block(&[
                            Arg::new("width", ArgKind::Double).token("BYBOX"),
                            Arg::new("height", ArgKind::Double),
                            UNIT,
                        ]),
                    ),
                    POLYGON,
                ]),
            ),
            ORDER,
            COUNT_ANY,
            Arg::word("storedist", "STOREDIST").optional(),
        ],
        reply: Shape::Int,
        run: Run::Hops {
            here: Some(search::geosearchstore),
            hops: store::GEOSEARCHSTORE,
            finish: store::FINISH,
        },
        ..Row::BLANK
    },
];
