//! The commands of the collections, a family a type. A history mixes the common lines with those of one or two
//! families, so that keys live long enough to become large.
//!
//! What chooses at random (SPOP of some members) or tells the time is not drawn, or [`crate::compare`] knows.

/// A family and how often each of its lines is drawn.
pub type Family = (&'static str, &'static [(u32, &'static str)]);

pub const FAMILIES: &[Family] = &[
    ("LPUSH", LISTS),
    ("SADD", SETS),
    ("HSET", HASHES),
    ("ZADD", SORTED_SETS),
    ("ZADD", SORTED_SET_ALGEBRA),
    ("ZADD", LEXICOGRAPHIC),
    ("XADD", STREAMS),
    ("XADD", GROUPS),
    ("SETBIT", BITMAPS),
    ("PFADD", HYPERLOGLOGS),
    ("GEOADD", GEO),
    ("SORT", SORT),
];

const LISTS: &[(u32, &str)] = &[
    (30, "LPUSH $lkey <$elem>"),
    (30, "RPUSH $lkey <$elem>"),
    (10, "RPUSH $lkey $elem $elem $elem $elem $elem $elem $elem $elem $elem $elem"),
    (4, "LPUSHX $lkey <$elem>"),
    (4, "RPUSHX $lkey <$elem>"),
    (12, "LPOP $lkey [$small]"),
    (12, "RPOP $lkey [$small]"),
    (8, "LLEN $lkey"),
    (16, "LRANGE $lkey $index $index"),
    (10, "LINDEX $lkey $index"),
    (10, "LSET $lkey $index $elem"),
    (10, "LINSERT $lkey (BEFORE|AFTER) $elem $elem"),
    (10, "LREM $lkey $near $elem"),
    (8, "LTRIM $lkey $index $index"),
    (12, "LPOS $lkey $elem [RANK $near|COUNT $small|MAXLEN $small]"),
    (8, "LMOVE $lkey $lkey (LEFT|RIGHT) (LEFT|RIGHT)"),
    (4, "RPOPLPUSH $lkey $lkey"),
    (6, "LMPOP (1 $lkey|2 $lkey $lkey|3 $lkey $lkey $lkey|$small $lkey) (LEFT|RIGHT) [COUNT $small]"),
];

const SETS: &[(u32, &str)] = &[
    (40, "SADD $skey <$elem>"),
    (16, "SADD $skey <$small>"),
    (16, "SREM $skey <$elem>"),
    (10, "SISMEMBER $skey $elem"),
    (8, "SMISMEMBER $skey <$elem>"),
    (6, "SCARD $skey"),
    (10, "SMEMBERS $skey"),
    (10, "SMOVE $skey $skey $elem"),
    (2, "SPOP $skey 100000"),
    (2, "SPOP $skey (0|-1|x)"),
    (4, "SRANDMEMBER $skey [$near]"),
    (8, "SINTER <$skey>"),
    (8, "SUNION <$skey>"),
    (8, "SDIFF <$skey>"),
    (6, "SINTERSTORE $skey <$skey>"),
    (6, "SUNIONSTORE $skey <$skey>"),
    (6, "SDIFFSTORE $skey <$skey>"),
    (8, "SINTERCARD (1 $skey|2 $skey $skey|3 $skey $skey $skey|$small $skey) [LIMIT $near]"),
    (4, "SSCAN $skey $cursor [MATCH $pattern|COUNT $count]"),
];

const HASHES: &[(u32, &str)] = &[
    (40, "HSET $hkey <$field $elem>"),
    (8, "HMSET $hkey <$field $elem>"),
    (8, "HSETNX $hkey $field $elem"),
    (14, "HGET $hkey $field"),
    (10, "HMGET $hkey <$field>"),
    (10, "HGETALL $hkey"),
    (16, "HDEL $hkey <$field>"),
    (8, "HEXISTS $hkey $field"),
    (6, "HLEN $hkey"),
    (8, "HSTRLEN $hkey $field"),
    (6, "HKEYS $hkey"),
    (6, "HVALS $hkey"),
    (14, "HINCRBY $hkey $field $int"),
    (14, "HINCRBYFLOAT $hkey $field $float"),
    (4, "HRANDFIELD $hkey [$near]"),
    (4, "HRANDFIELD $hkey $near WITHVALUES"),
    (4, "HSCAN $hkey $cursor [MATCH $pattern|COUNT $count]"),
];

const SORTED_SETS: &[(u32, &str)] = &[
    (50, "ZADD $zkey <$score $elem>"),
    (20, "ZADD $zkey [NX|XX|GT|LT|CH] <$score $elem>"),
    (8, "ZADD $zkey [NX|XX|GT|LT] INCR $score $elem"),
    (10, "ZINCRBY $zkey $score $elem"),
    (12, "ZREM $zkey <$elem>"),
    (10, "ZSCORE $zkey $elem"),
    (6, "ZMSCORE $zkey <$elem>"),
    (6, "ZCARD $zkey"),
    (8, "ZCOUNT $zkey $bound $bound"),
    (8, "(ZRANK|ZREVRANK) $zkey $elem"),
    (10, "(ZRANGE|ZREVRANGE) $zkey $index $index [WITHSCORES]"),
    (12, "ZRANGE $zkey (0 -1|$index $index) [REV|WITHSCORES]"),
    (8, "ZRANGE $zkey $bound $bound BYSCORE [REV|WITHSCORES|LIMIT $small $near]"),
    (8, "(ZRANGEBYSCORE|ZREVRANGEBYSCORE) $zkey $bound $bound [WITHSCORES|LIMIT $small $near]"),
    (4, "ZREMRANGEBYRANK $zkey $index $index"),
    (4, "ZREMRANGEBYSCORE $zkey $bound $bound"),
    (6, "(ZPOPMIN|ZPOPMAX) $zkey [$near]"),
    (4, "ZMPOP (1 $zkey|2 $zkey $zkey|$small $zkey) (MIN|MAX) [COUNT $small]"),
    (4, "ZRANDMEMBER $zkey [$near]"),
    (3, "ZSCAN $zkey $cursor [MATCH $pattern|COUNT $count]"),
    (6, "ZRANGESTORE $zkey $zkey $index $index [REV]"),
    (4, "ZRANGESTORE $zkey $zkey $bound $bound BYSCORE [LIMIT $small $near]"),
];

/// Ranges of members mean something only where all scores are the same, so these keys are nobody else's.
const LEXICOGRAPHIC: &[(u32, &str)] = &[
    (40, "ZADD $vkey <0 $elem>"),
    (8, "ZREM $vkey <$elem>"),
    (6, "ZLEXCOUNT $vkey $lex $lex"),
    (8, "ZRANGE $vkey $lex $lex BYLEX [REV|LIMIT $small $near]"),
    (8, "(ZRANGEBYLEX|ZREVRANGEBYLEX) $vkey $lex $lex [LIMIT $small $near]"),
    (4, "ZREMRANGEBYLEX $vkey $lex $lex"),
    (4, "ZRANGESTORE $vkey $vkey $lex $lex BYLEX [REV|LIMIT $small $near]"),
];

const SORTED_SET_ALGEBRA: &[(u32, &str)] = &[
    (40, "ZADD $zkey <$score $elem>"),
    (10, "SADD $zkey <$elem>"),
    (10, "ZREM $zkey <$elem>"),
    (6, "DEL $zkey"),
    (8, "ZUNION 2 $zkey $zkey [WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX)|WITHSCORES]"),
    (8, "ZINTER 2 $zkey $zkey [WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX)|WITHSCORES]"),
    (8, "ZDIFF 2 $zkey $zkey [WITHSCORES]"),
    (6, "ZDIFF 3 $zkey $zkey $zkey"),
    (8, "ZUNIONSTORE $zkey 2 $zkey $zkey [WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX)]"),
    (8, "ZINTERSTORE $zkey 2 $zkey $zkey [WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX)]"),
    (8, "ZDIFFSTORE $zkey 2 $zkey $zkey"),
    (6, "ZINTERCARD 2 $zkey $zkey [LIMIT $near]"),
    (4, "ZRANGE $zkey 0 -1 WITHSCORES"),
    (4, "(ZUNION|ZINTER|ZDIFF) $small $zkey [$zkey|WITHSCORES]"),
];

const STREAMS: &[(u32, &str)] = &[
    (50, "XADD $xkey $id <$field $elem>"),
    (12, "XADD $xkey [NOMKSTREAM] [MAXLEN = $small|MAXLEN $small|MINID $id|MINID = $id] $id <$field $elem>"),
    (6, "XTRIM $xkey (MAXLEN|MINID) [=] $id"),
    (4, "XTRIM $xkey MAXLEN $small"),
    (10, "XDEL $xkey <$id>"),
    (6, "XLEN $xkey"),
    (14, "XRANGE $xkey $range $range [COUNT $near]"),
    (10, "XREVRANGE $xkey $range $range [COUNT $near]"),
    (10, "XREAD [COUNT $near] STREAMS ($xkey $id|$xkey $xkey $id $id)"),
    (4, "XSETID $xkey $id"),
    (2, "XSETID $xkey $id ENTRIESADDED $small MAXDELETEDID $id"),
    (4, "XINFO STREAM $xkey"),
];

const GROUPS: &[(u32, &str)] = &[
    (30, "XADD $xkey $id $field $elem"),
    // Each option once: of two faults, a missing key and an option too many, Redis tells of the key first.
    (10, "XGROUP CREATE $xkey $group ($id|$) (MKSTREAM|MKSTREAM ENTRIESREAD $near|ENTRIESREAD $near)"),
    (2, "XGROUP SETID $xkey $group ($id|$) ENTRIESREAD $near"),
    (2, "XGROUP SETID $xkey $group ($id|$)"),
    (2, "XGROUP DESTROY $xkey $group"),
    (5, "XGROUP CREATECONSUMER $xkey $group $consumer"),
    (3, "XGROUP DELCONSUMER $xkey $group $consumer"),
    (24, "XREADGROUP GROUP $group $consumer [COUNT $near] [NOACK] STREAMS $xkey $new"),
    (10, "XREADGROUP GROUP $group $consumer [COUNT $near] STREAMS $xkey $id"),
    (5, "XREADGROUP GROUP $group $consumer STREAMS $xkey $xkey $new $new"),
    (14, "XACK $xkey $group <$id>"),
    (8, "XPENDING $xkey $group"),
    (6, "XPENDING $xkey $group $range $range $small [$consumer]"),
    (8, "XCLAIM $xkey $group $consumer 0 <$id> [JUSTID|FORCE|IDLE 0|RETRYCOUNT $small|LASTID $id]"),
    (6, "XAUTOCLAIM $xkey $group $consumer 0 $range [COUNT $near|JUSTID]"),
    (4, "XDEL $xkey <$id>"),
    (4, "XINFO GROUPS $xkey"),
    (3, "XINFO CONSUMERS $xkey $group"),
];

const BITMAPS: &[(u32, &str)] = &[
    (30, "SETBIT $bkey $offset (0|1)"),
    (12, "GETBIT $bkey $offset"),
    (16, "BITCOUNT $bkey [$index $index [BYTE|BIT]]"),
    (16, "BITPOS $bkey (0|1) [$index] [$index] [BYTE|BIT]"),
    (6, "BITOP NOT $bkey $bkey"),
    (10, "BITOP (AND|OR|XOR) $bkey <$bkey>"),
    (20, "BITFIELD $bkey <$bitop>"),
    (4, "BITFIELD_RO $bkey GET $bittype $bitoffset"),
    (6, "SET $bkey $value"),
];

/// Their keys are nobody else's: a string that was changed by other means is refused sooner here than in Redis, which
/// looks only at the part that it reads.
const HYPERLOGLOGS: &[(u32, &str)] = &[
    (40, "PFADD $pkey <$elem>"),
    (20, "PFADD $pkey $value $value $value $value $value $value"),
    (20, "PFCOUNT <$pkey>"),
    (10, "PFMERGE $pkey <$pkey>"),
    (4, "PFDEBUG ENCODING $pkey"),
    (2, "PFDEBUG TODENSE $pkey"),
    (4, "STRLEN $pkey"),
];

const GEO: &[(u32, &str)] = &[
    (30, "GEOADD $gkey <$longitude $latitude $elem>"),
    (8, "GEOADD $gkey [NX|XX|CH] <$longitude $latitude $elem>"),
    (10, "GEODIST $gkey $elem $elem [(m|km|ft|mi)]"),
    (8, "GEOPOS $gkey <$elem>"),
    (6, "GEOHASH $gkey <$elem>"),
    (
        14,
        "GEOSEARCH $gkey FROMLONLAT $longitude $latitude BYRADIUS $radius (m|km|mi) (ASC|DESC) \
          [WITHDIST|WITHCOORD|WITHHASH|COUNT $small]",
    ),
    (
        10,
        "GEOSEARCH $gkey FROMLONLAT $longitude $latitude BYBOX $radius $radius km (ASC|DESC) [WITHDIST|COUNT $small]",
    ),
    (8, "GEOSEARCH $gkey FROMMEMBER $elem BYRADIUS $radius km (ASC|DESC)"),
    (6, "GEOSEARCHSTORE $gkey $gkey FROMLONLAT $longitude $latitude BYRADIUS $radius km ASC [STOREDIST]"),
    (6, "GEORADIUS $gkey $longitude $latitude $radius km (ASC|DESC) [WITHDIST|COUNT $small]"),
    (4, "GEORADIUSBYMEMBER $gkey $elem $radius km ASC"),
    (4, "ZRANGE $gkey 0 -1 WITHSCORES"),
    (4, "ZREM $gkey $elem"),
];

const SORT: &[(u32, &str)] = &[
    (20, "RPUSH $lkey <$small>"),
    (10, "RPUSH $lkey <$elem>"),
    (10, "SADD $skey <$small>"),
    (10, "ZADD $zkey <$score $small>"),
    (10, "SET $weight $small"),
    (6, "HSET $weight $field $small"),
    (10, "SORT $lkey [ASC|DESC|ALPHA|LIMIT $small $near]"),
    (6, "SORT ($skey|$zkey) (ASC|DESC) [ALPHA|LIMIT $small $near]"),
    (10, "SORT $lkey (BY w_*|BY $byhash|BY nosort) [GET #|GET w_*|GET $byhash|ALPHA|DESC]"),
    (6, "SORT_RO $lkey [ALPHA|DESC|GET #]"),
    (8, "SORT $lkey ALPHA [DESC] STORE $lkey"),
    (4, "LRANGE $lkey 0 -1"),
];
