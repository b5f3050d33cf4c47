//! Scripts against a host that answers from a list.

use super::*;
use crate::resp::{Argv, Output, Protocol};

/// Answers `echo x`, `raw reply`; everything else is unknown.
#[derive(Default)]
struct Bench {
    engine: Engine,
    looks: usize,
    kill_after: Option<usize>,
    log: Vec<String>,
}

struct TestHost<'a> {
    looks: &'a mut usize,
    kill_after: Option<usize>,
    log: &'a mut Vec<String>,
}

impl Host for TestHost<'_> {
    fn call(&mut self, argv: Argv<'_>, _: Protocol, out: &mut Output) -> Called {
        match argv.get(0) {
            b"raw" => out.bytes.extend_from_slice(argv.get(1)),
            b"echo" => crate::resp::Reply::new(out, Protocol::Resp2).bulk(argv.get(1)),
            b"wide" => return Called::Stop(Stop::Wider),
            _ => out.bytes.extend_from_slice(b"-ERR Unknown Redis command called from script\r\n"),
        }
        Called::Replied
    }

    fn may_call(&mut self, argv: Argv<'_>) -> Option<bool> {
        (argv.get(0) == b"echo").then_some(true)
    }

    fn log(&mut self, level: u8, line: &[u8]) {
        self.log.push(format!("{level} {}", line.escape_ascii()));
    }

    fn interrupt(&mut self) -> Option<Stop> {
        *self.looks += 1;
        self.kill_after.is_some_and(|most| *self.looks > most).then_some(Stop::Killed)
    }
}

impl Bench {
    fn run_as(&mut self, protocol: Protocol, source: &str, keys: &[&[u8]], args: &[&[u8]]) -> (End, String) {
        let chunk = match self.engine.compile(source.as_bytes(), c"@user_script") {
            Ok(chunk) => chunk,
            Err(error) => return (End::Failed, format!("compile: {error}")),
        };
        let mut out = Output::default();
        let mut host = TestHost { looks: &mut self.looks, kill_after: self.kill_after, log: &mut self.log };
        let given = Given { name: "sha", keys, args, is_function: false, protocol };
        let end = self.engine.run(chunk, &given, &mut host, &mut out);
        self.engine.forget(chunk);
        (
            end,
            out.to_vec()
                .escape_ascii()
                .to_string()
                .replace("\\r\\n", " ")
                .replace("\\'", "'")
                .replace("\\\"", "\"")
                .trim_end()
                .to_owned(),
        )
    }

    fn run(&mut self, source: &str) -> String {
        self.run_as(Protocol::Resp2, source, &[], &[]).1
    }
}

/// How a failure in the first line is reported.
fn fails(text: &str) -> String {
    format!("-ERR user_script:1: {text} script: sha, on @user_script:1.")
}

fn check(cases: &[(&str, &str)]) {
    let mut bench = Bench::default();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(source, wanted)| {
            let got = bench.run(source);
            (got != *wanted).then(|| format!("{source}\n  wanted {wanted}\n  got    {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_become_replies_and_replies_values() {
    check(&[
        ("return 1", ":1"),
        ("return {1.9, -1.9, 'x', true, false, nil, 3}", "*5 :1 :-1 $1 x :1 $-1"),
        ("return {ok='fine'}", "+fine"),
        ("return {err='FOO bar'}", "-FOO bar"),
        ("return 1e300", ":-9223372036854775808"),
        ("return redis.call('raw', ':7\\r\\n') + 1", ":8"),
        ("return redis.call('raw', '$-1\\r\\n') == false", ":1"),
        ("return redis.call('raw', '*2\\r\\n:1\\r\\n*1\\r\\n+OK\\r\\n')", "*2 :1 *1 +OK"),
        ("return redis.call('raw', '%1\\r\\n+a\\r\\n,1.5\\r\\n').map", "*0"),
        ("return redis.call('echo', 12.5)", "$4 12.5"),
        ("return redis.call('echo', 1e20)", "$5 1e+20"),
        ("local t = {} t[1] = t return string.sub(tostring(t), 1, 5)", "$5 table"),
    ]);
    let mut bench = Bench::default();
    let deep = bench.run("local t = {} t[1] = t return t");
    assert!(deep.ends_with("-ERR reached lua stack limit"));
}

#[test]
fn protocol_3_keeps_types() {
    let mut bench = Bench::default();
    let mut run = |source| bench.run_as(Protocol::Resp3, source, &[], &[]).1;
    assert_eq!(run("redis.setresp(3) return redis.call('raw', '%1\\r\\n+a\\r\\n,1.5\\r\\n')"), "%1 +a ,1.5");
    assert_eq!(run("redis.setresp(3) return redis.call('raw', '~1\\r\\n:1\\r\\n')"), "~1 :1");
    assert_eq!(run("redis.setresp(3) return {true, false, {double=3.5}}"), "*3 #t #f ,3.5");
    assert_eq!(
        run("return {true, {big_number='12'}, {verbatim_string={format='txt', string='x'}}}"),
        "*3 :1 (12 =5 txt:x"
    );
    assert_eq!(run("return false"), "_");
}

#[test]
fn errors_say_where_they_happened() {
    let at = "script: sha, on @user_script:1.";
    check(&[
        ("error('x')", &format!("-ERR user_script:1: x {at}")),
        ("error({err='My Err'})", &format!("-My Err {at}")),
        ("error()", &format!("-ERR nil {at}")),
        ("return redis.call('nosuch')", &format!("-ERR Unknown Redis command called from script {at}")),
        ("return redis.pcall('nosuch')", "-ERR Unknown Redis command called from script"),
        ("return {pcall(redis.call, 'nosuch')}", "*2 $-1 $44 ERR Unknown Redis command called from script"),
        (
            "\n\nlocal x = nosuch",
            "-ERR user_script:3: Script attempted to access nonexistent global variable 'nosuch' script: sha, on @user_script:3.",
        ),
        ("x = 1", &format!("-ERR user_script:1: Attempt to modify a readonly table {at}")),
        ("return 1 +", "compile: user_script:1: unexpected symbol near '<eof>'"),
        (
            "return coroutine.wrap(function() error('q') end)()",
            &format!("-ERR user_script:1: user_script:1: q {at}"),
        ),
        (
            "return tostring(nil)..nil",
            &format!("-ERR user_script:1: attempt to concatenate a nil value {at}"),
        ),
        ("return unpack({}, 1, 9000)", &format!("-ERR user_script:1: too many results to unpack {at}")),
        (
            "return string.rep()",
            &format!("-ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value) {at}"),
        ),
        (
            "return redis.call()",
            &format!("-ERR Please specify at least one argument for this redis lib call {at}"),
        ),
        (
            "return redis.call({})",
            &format!("-ERR Lua redis lib command arguments must be strings or integers {at}"),
        ),
        ("return redis.error_reply('foo')", "-ERR foo"),
        ("return redis.error_reply('-X y')", "-X y"),
        ("return redis.error_reply('X y')", "-X y"),
        ("return redis.error_reply(1, 2)", "-ERR wrong number or type of arguments"),
        ("return {xpcall(function() error({err='q'}) end, function(e) return e.err end)}", "*2 $-1 $1 q"),
    ]);
}

#[test]
fn the_sandbox_is_closed() {
    let readonly = "-ERR Attempt to modify a readonly table script: sha, on @user_script:1.";
    let placed = "-ERR user_script:1: Attempt to modify a readonly table script: sha, on @user_script:1.";
    check(&[
        ("redis.call = 1", placed),
        ("string.x = 1", placed),
        ("KEYS = 1", placed),
        ("redis = 1", placed),
        ("setmetatable(_G, {})", readonly),
        ("rawset(_G, 'x', 1)", readonly),
        ("rawset(redis, 'x', 1)", readonly),
        ("table.insert(redis, 1)", readonly),
        ("table.sort(redis)", readonly),
        ("getmetatable(_G).__index = 1", placed),
        ("getmetatable('').__index = 1", placed),
        (
            "getmetatable(redis).__index.call = 1",
            "-ERR user_script:1: attempt to index field '__index' (a function value) script: sha, on @user_script:1.",
        ),
        (
            "loadstring('y = 1')()",
            "-ERR [string \"y = 1\"]:1: Attempt to modify a readonly table script: sha, on y = 1:1.",
        ),
        ("return loadstring(string.dump(function() end))", "$-1"),
        ("return load(function() return nil end)()", "$-1"),
        ("local n = 0 for k in pairs(redis) do n = n + 1 end return n > 20", ":1"),
        (
            "for k, v in pairs(redis) do if rawget(redis, k) ~= v then return k end end return next(redis) ~= nil",
            ":1",
        ),
        (
            "local out = {} for _, n in ipairs{'print','dofile','loadfile','require','module','io','debug','package','newproxy','getfenv','setfenv'} do if pcall(function() return _G[n] end) then out[#out+1] = n end end return out",
            "*0",
        ),
        ("for k in pairs(os) do if k ~= 'clock' then return k end end return type(os.clock())", "$6 number"),
        ("KEYS[1] = 'x' return KEYS[1]", "$1 x"),
        ("return ('abc'):upper()", "$3 ABC"),
        ("return collectgarbage('stop')", ":0"),
    ]);
}

#[test]
fn keys_and_arguments_are_given() {
    let mut bench = Bench::default();
    let (_, reply) =
        bench.run_as(Protocol::Resp2, "return {KEYS[1], ARGV[1], ARGV[2], #KEYS}", &[b"k"], &[b"a", b"b"]);
    assert_eq!(reply, "*4 $1 k $1 a $1 b :1");
    assert_eq!(bench.run("return #KEYS + #ARGV"), ":0");
}

#[test]
fn a_script_that_must_end_cannot_catch_it() {
    for source in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do end end while true do xpcall(f, function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    ] {
        let mut bench = Bench { kill_after: Some(3), ..Bench::default() };
        let (end, reply) = bench.run_as(Protocol::Resp2, source, &[], &[]);
        assert_eq!(end, End::Stopped(Stop::Killed), "{source}");
        assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL..."), "{reply}");
        bench.kill_after = None;
        assert_eq!(bench.run("return 1"), ":1");
    }
    let mut bench = Bench::default();
    let (end, _) = bench.run_as(Protocol::Resp2, "pcall(redis.call, 'wide') return 1", &[], &[]);
    assert_eq!(end, End::Stopped(Stop::Wider));
}

#[test]
fn memory_is_bounded() {
    let mut bench = Bench::default();
    let reply = bench.run(
        "local s, t = string.rep('x', 1e6), {} for i = 1, 100 do t[i] = string.rep(s, 50) .. i end return #t",
    );
    assert!(reply.starts_with("-ERR not enough memory"), "{reply}");
    assert_eq!(bench.run("return 1"), ":1");
    assert_eq!(
        bench.run("return string.rep('x', 1e12)"),
        "-ERR user_script:1: resulting string too large script: sha, on @user_script:1."
    );
}

#[test]
fn hostile_scripts_get_errors() {
    let mut bench = Bench::default();
    for source in [
        "return unpack({}, -2147483648, 2147483647)",
        "return string.find('a', string.rep('a?', 1000000))",
        "return string.find('a', string.rep('(', 100))",
        "return string.gsub('x', 'x', '%9')",
        "return string.format('%99999d', 1)",
        "return string.format('%10000000s', 'x')",
        "return table.concat({}, 'x', 1, 2147483647)",
        "return table.concat({}, 'x', -2147483648, 2147483647)",
        "local function f() return f() + 1 end return f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "local f f = function() return (string.gsub('x', 'x', f)) end return f()",
        "local f f = function() return coroutine.wrap(f)() end return f()",
        "return cmsgpack.unpack(string.rep('\\145', 100000))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255a')",
        "return cmsgpack.unpack('\\129\\192\\1')",
        "return cmsgpack.unpack_limit('\\1', 2147483647, 2147483647)",
        "return cjson.decode(string.rep('[', 100000))",
        "return cjson.decode(string.rep('{\"a\":', 100000))",
        "cjson.decode_max_depth(2147483647) return cjson.decode(string.rep('[', 100000))",
        "local t = {} t.t = t cjson.encode_max_depth(2147483647) return cjson.encode(t)",
        "local t = {} t[1] = t return cjson.encode(t)",
        "return struct.unpack('I33', 'x')",
        "return struct.pack('>I2147483648', 1)",
        "return struct.unpack('c2147483647', 'x')",
        "return struct.unpack('c0', 'x')",
        "return struct.unpack('dc0', struct.pack('d', 1e300) .. 'x')",
        "return struct.unpack('b', 'x', -2147483648)",
        "return struct.unpack('b', 'x', 2147483647)",
        "return struct.size('!0i')",
        "return redis.sha1hex()",
        "return redis.register_function('x', function() end)",
        "error(setmetatable({}, {__tostring = function() error('again') end}))",
        "error({})",
        "return getmetatable('').__name.x",
    ] {
        let (end, reply) = bench.run_as(Protocol::Resp2, source, &[], &[]);
        assert_eq!(end, End::Failed, "{source}: {reply:.200}");
    }
    // The name of a chunk may be collected while it is parsed, if nothing holds it.
    assert_eq!(
        bench.run("for i = 1, 50 do loadstring(string.rep('local x = {\"' .. i .. '\"} ', 300), string.rep('n', 100) .. i .. '\\0x') end return 1"),
        ":1"
    );
    assert_eq!(bench.run("return bit.tohex(255, -2147483648)"), "$8 000000FF");
    assert_eq!(bench.run("return cmsgpack.pack({cmsgpack.pack(-1)})"), "$3 \\x91\\xa1\\xff");
}

#[test]
fn libraries_answer_as_in_redis() {
    check(&[
        ("return cjson.encode({1,2,3})", "$7 [1,2,3]"),
        ("return cjson.encode({[1]=1,[20]=2})", &fails("Cannot serialise table: excessively sparse array")),
        ("return cjson.encode({[1]=1,[5]=2})", "$20 [1,null,null,null,2]"),
        ("return cjson.encode({})", "$2 {}"),
        (
            r#"return cjson.encode({a='x/"\\\b\f\n\r\t\1\127'})"#,
            r#"$37 {"a":"x\\/\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f"}"#,
        ),
        ("return cjson.encode(1/0)", &fails("Cannot serialise number: must not be NaN or Inf")),
        (
            "return cjson.encode(print_or_nil or function() end)",
            &fails("Script attempted to access nonexistent global variable 'print_or_nil'"),
        ),
        ("return cjson.encode(function() end)", &fails("Cannot serialise function: type not supported")),
        (
            "return cjson.encode({[true]=1})",
            &fails("Cannot serialise boolean: table key must be a number or string"),
        ),
        ("local t = {} t.t = t return cjson.encode(t)", &fails("Cannot serialise, excessive nesting (1001)")),
        ("return cjson.encode()", &fails("bad argument #1 to 'encode' (expected 1 argument)")),
        ("return cjson.decode('')", &fails("Expected value but found T_END at character 1")),
        ("return cjson.decode('[1,2')", &fails("Expected comma or array end but found T_END at character 5")),
        (
            "return cjson.decode('{1:2}')",
            &fails("Expected object key string but found T_NUMBER at character 2"),
        ),
        ("return cjson.decode('[1] x')", &fails("Expected the end but found invalid token at character 5")),
        (
            "return cjson.decode('\"abc')",
            &fails("Expected value but found unexpected end of string at character 5"),
        ),
        (
            "return cjson.decode('\"a\\\\qb\"')",
            &fails("Expected value but found invalid escape code at character 3"),
        ),
        ("return cjson.decode('\"\\\\ud83d\\\\ude00\"')", "$4 \\xf0\\x9f\\x98\\x80"),
        (
            "return cjson.decode('\"\\\\ud800\"')",
            &fails("Expected value but found invalid unicode escape code at character 2"),
        ),
        (
            "return cjson.decode(string.rep('[',1001))",
            &fails("Found too many nested data structures (1001) at character 1001"),
        ),
        ("return tostring(cjson.decode('nan'))", "$3 nan"),
        ("return tostring(cjson.decode('-inf'))", "$4 -inf"),
        ("return cjson.decode('0x10')", ":16"),
        ("return cjson.decode('01')", ":1"),
        ("return cjson.decode('1e5')", ":100000"),
        ("return cjson.decode('.5')", &fails("Expected value but found invalid token at character 1")),
        ("return cjson.decode('-')", &fails("Expected value but found invalid number at character 1")),
        ("return cjson.decode('null') == cjson.null", ":1"),
        ("return cjson.decode('{\"a\":[1,{\"b\":2}]}').a[2].b", ":2"),
        ("return cjson.decode('\\0[')", &fails("JSON parser does not support UTF-16 or UTF-32")),
        (
            "return cjson.encode_max_depth(0)",
            &fails("bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)"),
        ),
        ("cjson.encode_invalid_numbers('null') return cjson.encode(1/0)", "$4 null"),
        ("return cjson.encode(1/0)", &fails("Cannot serialise number: must not be NaN or Inf")),
        ("return struct.size('i4')", ":4"),
        ("return struct.size('!8bd')", ":16"),
        ("return struct.size('bd')", ":9"),
        ("return struct.size('s')", &fails("bad argument #1 to 'size' (option 's' has no fixed size)")),
        ("return struct.size('i33')", &fails("integral size 33 is larger than limit of 32")),
        ("return struct.size('!3')", &fails("alignment 3 is not a power of 2")),
        ("return struct.size('c99999999999')", &fails("integral size overflow")),
        ("return struct.pack('>i4', 1)", "$4 \\x00\\x00\\x00\\x01"),
        ("return struct.pack('c5', 'abc')", &fails("bad argument #3 to 'pack' (string too short)")),
        ("return {struct.unpack('>i4', '\\0\\0\\0\\1')}", "*2 :1 :5"),
        (
            "return {struct.unpack('>i4', '\\0\\0\\0')}",
            &fails("bad argument #2 to 'unpack' (data string too short)"),
        ),
        ("return {struct.unpack('bc0', '\\3abcd')}", "*2 $3 abc :5"),
        ("return {struct.unpack('s', 'abc')}", &fails("unfinished string in data")),
        (
            "return {struct.unpack('b', 'abc', 0)}",
            &fails("bad argument #3 to 'unpack' (offset must be 1 or greater)"),
        ),
        ("return {struct.unpack('l', struct.pack('l', -7))}", "*2 :-7 :9"),
        ("return cmsgpack.pack()", &fails("bad argument #0 to 'pack' (MessagePack pack needs input.)")),
        (
            "return {cmsgpack.unpack(cmsgpack.pack(1,'a',{1,2},1.5,-200,70000,5000000000,nil,true))}",
            "*7 :1 $1 a *2 :1 :2 :1 :-200 :70000 :5000000000",
        ),
        ("return {cmsgpack.unpack('\\147\\1\\2')}", &fails("Missing bytes in input.")),
        ("return {cmsgpack.unpack('\\193')}", &fails("Bad data format in input.")),
        ("return {cmsgpack.unpack_one('\\1\\2\\3')}", "*2 :1 :1"),
        ("return {cmsgpack.unpack_one('\\1\\2\\3', 2)}", "*2 :-1 :3"),
        (
            "return {cmsgpack.unpack_one('\\1\\2\\3', 4)}",
            &fails("Start offset 4 greater than input length 3."),
        ),
        ("return {cmsgpack.unpack_limit('\\1\\2\\3', 2)}", "*3 :2 :1 :2"),
        (
            "return {bit.band(0xff,0xf), bit.bnot(0), bit.lshift(1,31), bit.arshift(-4,1), bit.rol(1,33), bit.bswap(1), bit.tobit(2^32+5)}",
            "*7 :15 :-1 :-2147483648 :-2 :2 :16777216 :5",
        ),
        ("return bit.tohex(255, -4)", "$4 00FF"),
        ("return bit.band()", &fails("bad argument #1 to 'band' (number expected, got no value)")),
        ("math.randomseed(10) return math.random(1, 1000000)", ":878852"),
        ("return select('#', unpack({1}, -2147483648, -2147483646))", ":3"),
        ("return select('#', unpack({1}, 2147483646, 2147483647))", ":2"),
        ("return {unpack({1,2,3}, 1, -1)}", "*0"),
        ("local a = {} for i = 1, 7999 do a[i] = 1 end return #redis.call('echo', unpack(a))", ":1"),
        ("return redis.sha1hex('')", "$40 da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ]);
}

#[test]
fn a_machine_whose_memory_ran_out_serves_on() {
    let mut bench = Bench { engine: Engine::bounded(48 << 20), ..Bench::default() };
    let small = "local t = {} for i = 1, 20000 do t[i] = {i} end return #t";
    for hungry in [
        "local t = {} for i = 1, 1e9 do t[i] = string.rep(i .. ' ', 500) end",
        "local t = {} for i = 1, 1e9 do t[i] = {i} end",
        "local s = 'x' while true do s = s .. s end",
    ] {
        assert_eq!(bench.run(hungry), "-ERR not enough memory", "{hungry}");
        assert_eq!(bench.run(small), ":20000", "after {hungry}");
    }
}

#[test]
fn what_is_small_in_lua_and_endless_when_written_out_is_refused() {
    let mut bench = Bench { engine: Engine::bounded(8 << 20), ..Bench::default() };
    let doubled = "local t = {} for i = 1, 60 do t = {t, t} end ";
    let refused = fails("not enough memory");
    for (built, wanted) in [
        ("return cjson.encode(t)", &*refused),
        ("local s = string.rep('\\0', 1e6) return cjson.encode({s, s, s})", &refused),
        ("cjson.encode_sparse_array(false, 0) return cjson.encode({[4e15] = 1})", &refused),
        (
            "local u = {} for i = 1, 1000 do u[i] = i end for i = 1, 14 do local v = {} for j = 1, 9 do v[j] = u end u = v end return cmsgpack.pack(u)",
            &refused,
        ),
        (
            "local s = string.rep('x', 1e6) return struct.pack(string.rep('c0', 9), s, s, s, s, s, s, s, s, s)",
            &refused,
        ),
        (
            "local s = string.rep('x', 1e6) return redis.call('echo', s, s, s, s, s, s, s, s, s)",
            "-ERR The arguments of a command in a script are too long script: sha, on @user_script:1.",
        ),
        ("return t", "-ERR not enough memory"),
    ] {
        assert_eq!(bench.run(&format!("{doubled}{built}")), wanted, "{built}");
        assert_eq!(bench.run("return 1"), ":1");
    }
}

#[test]
fn numbers_beside_64_bits_are_packed_as_floats() {
    check(&[
        ("return cmsgpack.pack(2^63)", "$5 \\xca_\\x00\\x00\\x00"),
        ("return cmsgpack.pack(-2^63)", "$9 \\xd3\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00"),
        ("return cmsgpack.pack(2^64)", "$5 \\xca_\\x80\\x00\\x00"),
    ]);
}
