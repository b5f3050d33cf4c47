"""redis-py: what it adds to plain commands, with RESP2 and RESP3, blocking and asyncio."""

import asyncio
import threading
import time

import redis
import redis.asyncio
from redis.cache import CacheConfig
from redis.exceptions import (
    LockError, LockNotOwnedError, NoScriptError, ResponseError, WatchError,
)

from support import PORT, case, refused, run, same, until


def client(**options):
    return redis.Redis(port=PORT, **{"decode_responses": True, **options})


def both(body):
    """A case once with each protocol."""
    for protocol in (2, 3):
        def one(protocol=protocol):
            r = client(protocol=protocol)
            r.flushall()
            body(r)
        one.__name__ = f"{body.__name__}_RESP{protocol}"
        case(one)
    return body


@both
def replies_of_all_shapes(r):
    assert r.set("k", "ünïcode ✓", ex=100)
    same(r.get("k"), "ünïcode ✓")
    same(r.set("k", "x", get=True), "ünïcode ✓")
    same(r.set("k", "x", nx=True), None)
    same(r.hset("h", mapping={"a": 1, "b": "two"}), 2)
    same(r.hgetall("h"), {"a": "1", "b": "two"})
    r.zadd("z", {"a": 1.5, "b": float("-inf")})
    same([tuple(one) for one in r.zrange("z", 0, -1, withscores=True)], [("b", float("-inf")), ("a", 1.5)])
    same(r.zscore("z", "a"), 1.5)
    same(r.zadd("z", {"a": 1}, incr=True), 2.5)
    same(r.incrbyfloat("f", "0.1"), 0.1)
    r.sadd("s", "x", "y")
    same(set(r.smembers("s")), {"x", "y"})
    same(r.smismember("s", "x", "q"), [1, 0])
    r.rpush("l", *range(10))
    same(r.lpos("l", "3"), 3)
    same(r.lmpop(2, "none", "l", direction="LEFT", count=2), ["l", ["0", "1"]])
    r.geoadd("g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"))
    same(r.geosearch("g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC"), ["Catania", "Palermo"])
    same(r.setbit("bits", 7, 1), 0)
    same(r.bitfield("bits").get("u8", 0).incrby("u8", 0, 5).execute(), [1, 6])
    same(r.pfadd("hll", *range(100)), 1)
    assert 95 <= r.pfcount("hll") <= 105
    refused(ResponseError, "WRONGTYPE", lambda: r.lpush("k", 1))
    same(r.config_get("maxmemory*")["maxmemory"], "0")
    assert r.info("server")["redis_version"] >= "7"
    same(r.command_getkeys("MSET", "a", "1", "b", "2"), ["a", "b"])
    assert r.command_count() > 200
    assert any(one["name"] == "" for one in r.client_list())
    assert r.memory_usage("k") > 0
    assert r.object("encoding", "k") in ("embstr", b"embstr")
    dump = client(decode_responses=False)
    dump.restore("copy", 0, dump.dump("h"))
    same(r.hgetall("copy"), {"a": "1", "b": "two"})
    same(r.copy("h", "copied"), True)


@both
def pipelines_and_transactions(r):
    pipe = r.pipeline(transaction=False)
    for n in range(3000):
        pipe.set(f"p:{n}", n).get(f"p:{n}").incr("p:count")
    got = pipe.execute()
    same(got, [one for n in range(3000) for one in (True, str(n), n + 1)])
    pipe = r.pipeline()
    pipe.set("t:1", "a").lpush("t:1", "b").get("t:1")
    got = pipe.execute(raise_on_error=False)
    assert isinstance(got[1], ResponseError), got
    same(got[2], "a")
    pipe = r.pipeline()
    pipe.execute_command("SET", "only a key")
    refused(ResponseError, "wrong number", pipe.execute)


@both
def watch_is_optimistic_locking(r):
    r.mset({"a": 0, "b": 0})
    with r.pipeline() as pipe:
        pipe.watch("a", "b")
        r.incr("b")
        pipe.multi()
        pipe.set("a", 9)
        refused(WatchError, "", pipe.execute)
    r.mset({"a": 0, "b": 0})

    def add(pipe):
        a, b = (int(n) for n in pipe.mget("a", "b"))
        assert a == b, (a, b)
        pipe.multi()
        pipe.set("a", a + 1).set("b", b + 1)

    def many():
        mine = client()
        for _ in range(20):
            mine.transaction(add, "a", "b")

    threads = [threading.Thread(target=many) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    same(r.mget("a", "b"), ["120", "120"])


@both
def scripts(r):
    double = r.register_script(
        "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], n) return n * 2")
    same(double(keys=["s:1", "s:2"], args=[21]), 42)
    r.script_flush()
    same(double(keys=["s:1", "s:2"], args=[1]), 44)
    same(r.get("s:2"), "22")
    pipe = r.pipeline()
    double(keys=["s:3", "s:4"], args=[5], client=pipe)
    pipe.get("s:4")
    same(pipe.execute(), [10, "5"])
    refused(NoScriptError, "No matching script", lambda: r.evalsha("0" * 40, 0))
    refused(ResponseError, "mine", lambda: r.eval("return redis.error_reply('ERR mine')", 0))
    same(r.eval("return redis.call('GET', 'un' .. 'declared')", 0), None)
    same(r.function_load("#!lua name=lib\nredis.register_function{function_name='hello', "
                         "callback=function(keys, args) return 'hello ' .. args[1] end, flags={'no-writes'}}",
                         replace=True), "lib")
    same(r.fcall("hello", 0, "you"), "hello you")
    same(r.fcall_ro("hello", 0, "you"), "hello you")
    r.function_delete("lib")


@both
def locks(r):
    lock = r.lock("lock", timeout=10)
    assert lock.acquire()
    assert lock.locked() and lock.owned()
    assert not r.lock("lock", timeout=10).acquire(blocking=False)
    assert lock.extend(20) and lock.reacquire()
    lock.release()
    refused(LockError, "", lock.release)
    short = r.lock("lock", timeout=0.05)
    assert short.acquire()
    until("it expires", lambda: not r.exists("lock"))
    refused(LockNotOwnedError, "", short.release)

    # Of many, one at a time.
    inside, most = [], []

    def enter():
        mine = client()
        for _ in range(5):
            with mine.lock("mutex", timeout=30, sleep=0.002):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    same((len(most), max(most)), (25, 1))


@both
def publish_and_subscribe(r):
    seen = []
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("news", **{"sport": lambda message: seen.append(message["data"])})
    p.psubscribe("n*")
    until("both", lambda: r.publish("sport", "x") == 1 and r.pubsub_numpat() == 1)
    for n in range(100):
        r.publish("news", n)
    got = []
    until("all messages", lambda: got.append(p.get_message(timeout=0.1)) or sum(one is not None for one in got) == 200)
    plain = [one["data"] for one in got if one and one["type"] == "message"]
    same(plain, [str(n) for n in range(100)])
    assert seen
    p.unsubscribe()
    p.punsubscribe()
    p.close()
    r.config_set("notify-keyspace-events", "KEA")
    p = r.pubsub(ignore_subscribe_messages=True)
    p.psubscribe("__keyevent@0__:*")
    until("subscribed", lambda: p.get_message(timeout=0.05) is None and r.pubsub_numpat() == 1)
    r.set("short", "x", px=30)
    events = []

    def expired():
        message = p.get_message(timeout=0.1)
        events.append(message and message["channel"].split(":", 1)[1])
        return "expired" in events

    until("expiry", expired)
    assert [one for one in events if one] == ["set", "expire", "expired"], events
    r.config_set("notify-keyspace-events", "")


@both
def streams(r):
    ids = [r.xadd("st", {"n": n}) for n in range(20)]
    same(r.xlen("st"), 20)
    same(r.xrange("st", ids[2], ids[3]), [(ids[2], {"n": "2"}), (ids[3], {"n": "3"})])
    r.xgroup_create("st", "g", id="0")
    got = r.xreadgroup("g", "me", {"st": ">"}, count=5)
    entries = got[0][1] if isinstance(got, list) else got["st"][0]
    same([one[0] for one in entries], ids[:5])
    same(r.xack("st", "g", *ids[:2]), 2)
    same(r.xpending("st", "g")["pending"], 3)
    same(len(r.xpending_range("st", "g", "-", "+", 10)), 3)
    claimed = r.xautoclaim("st", "g", "you", 0)
    same([one[0] for one in claimed[1]], ids[2:5])
    same(r.xinfo_stream("st")["length"], 20)
    same(r.xinfo_groups("st")[0]["pending"], 3)
    same(r.xinfo_consumers("st", "g")[0]["name"], "me")
    assert r.xtrim("st", maxlen=5, approximate=False) == 15
    waiting = threading.Thread(target=lambda: waiting_got.append(client().xread({"other": "$"}, block=10000)))
    waiting_got = []
    waiting.start()
    until("it waits", lambda: r.info("clients")["blocked_clients"] == 1)
    r.xadd("other", {"a": "b"})
    waiting.join()
    assert "b" in str(waiting_got), waiting_got


@both
def scans_and_blocking_pops(r):
    r.mset({f"scan:{n}": n for n in range(2000)})
    r.hset("hash", mapping={n: n for n in range(2000)})
    same(len(set(r.scan_iter("scan:*", count=300))), 2000)
    same(len(dict(r.hscan_iter("hash"))), 2000)
    got = []
    waiting = threading.Thread(target=lambda: got.append(client().blpop(["q:1", "q:2", "q:3"], timeout=10)))
    waiting.start()
    until("it waits", lambda: r.info("clients")["blocked_clients"] == 1)
    r.rpush("q:2", "x")
    waiting.join()
    same(tuple(got[0]), ("q:2", "x"))
    same(r.blpop("q:1", timeout=0.02), None)


@case
def a_cache_at_the_client_hears_of_changes():
    other = client()
    other.set("cached", "1")
    r = client(protocol=3, cache_config=CacheConfig())
    try:
        same(r.get("cached"), "1")
    except redis.ConnectionError as error:
        assert "client-side caching is supported by Redis 7.4 or later" in str(error), error
        print(f"not tried, the client wants a later server: {other.info('server')['redis_version']}")
        return
    calls = lambda: other.info("commandstats")["cmdstat_get"]["calls"]
    before = calls()
    same(r.get("cached"), "1")
    same(calls(), before)
    other.set("cached", "2")
    until("the new value", lambda: r.get("cached") == "2")
    other.flushall()
    until("nothing", lambda: r.get("cached") is None)


@case
def a_lost_connection_is_made_anew():
    r, other = client(), client()
    r.set("k", "v")
    for one in other.client_list():
        if one["id"] != str(other.client_id()):
            other.client_kill_filter(_id=one["id"])
    same(r.get("k"), "v")
    # The same for a reader that waits.
    got = []
    waiting = threading.Thread(target=lambda: got.append(r.blpop("late", timeout=5)))
    waiting.start()
    until("it waits", lambda: other.info("clients")["blocked_clients"] == 1)
    other.rpush("late", "x")
    waiting.join()
    same(got[0][1], "x")


@case
def asyncio_clients():
    async def body():
        r = redis.asyncio.Redis(port=PORT, decode_responses=True, protocol=3)
        await r.flushall()
        async with r.pipeline(transaction=True) as pipe:
            same(await pipe.set("a", 1).incr("a").execute(), [True, 2])
        await asyncio.gather(*(r.incr("many") for _ in range(90)))
        same(await r.get("many"), "90")
        async with r.pubsub() as p:
            await p.subscribe("news")
            same((await p.get_message(timeout=5))["type"], "subscribe")
            await r.publish("news", "x")
            same((await p.get_message(timeout=5))["data"], "x")
        async with r.lock("lock", timeout=10):
            assert await r.exists("lock")
        same([key async for key in r.scan_iter("m*")], ["many"])
        await r.aclose()

    started = time.monotonic()
    asyncio.run(body())
    assert time.monotonic() - started < 30


run()
