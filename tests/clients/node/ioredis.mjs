// ioredis: what it adds to plain commands.

import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { connection, next, run, until } from './support.mjs';

async function onClient(body, options = {}) {
  const redis = new Redis({ ...connection, ...options });
  try {
    await body(redis);
  } finally {
    redis.disconnect();
  }
}

async function items(stream) {
  const all = [];
  for await (const some of stream) all.push(...some);
  return all;
}

await run({
  'replies of all shapes': () => onClient(async (redis) => {
    assert.equal(await redis.set('text', 'ünïcode ✓'), 'OK');
    assert.equal(await redis.get('text'), 'ünïcode ✓');
    assert.deepEqual(await redis.getBuffer('text'), Buffer.from('ünïcode ✓'));
    assert.equal(await redis.get('none'), null);
    await redis.hset('hash', { a: 1, b: 'two' });
    assert.deepEqual(await redis.hgetall('hash'), { a: '1', b: 'two' });
    await redis.hset('hash', new Map([['c', 3]]));
    assert.deepEqual(await redis.hmget('hash', 'a', 'c', 'x'), ['1', '3', null]);
    await redis.mset({ m1: 1, m2: 2 });
    assert.deepEqual(await redis.mget('m1', 'm2', 'none'), ['1', '2', null]);
    await redis.zadd('zset', 1.5, 'a', '-inf', 'b');
    assert.deepEqual(await redis.zrange('zset', 0, -1, 'WITHSCORES'), ['b', '-inf', 'a', '1.5']);
    assert.deepEqual(await redis.geoadd('geo', 13.361389, 38.115556, 'Palermo'), 1);
    assert.equal((await redis.geopos('geo', 'Palermo'))[0][0].slice(0, 8), '13.36138');
    await assert.rejects(redis.incr('text'), /ERR value is not an integer or out of range/);
    const big = Buffer.alloc(3 << 20, 7);
    await redis.set('big', big);
    assert((await redis.getBuffer('big')).equals(big));
    assert.equal(typeof (await redis.info()), 'string');
    assert.equal((await redis.call('COMMAND', 'COUNT')) > 200, true);
  }),

  'pipelines over many keys keep their order': () => onClient(async (redis) => {
    const pipeline = redis.pipeline();
    for (let n = 0; n < 5000; n += 1) pipeline.set(`p:${n}`, n).get(`p:${n}`).incr('p:count');
    const results = await pipeline.exec();
    assert.equal(results.length, 15000);
    for (let n = 0; n < 5000; n += 1) {
      assert.deepEqual(results.slice(n * 3, n * 3 + 3), [[null, 'OK'], [null, String(n)], [null, n + 1]]);
    }
    const mixed = await redis.pipeline().set('p:s', 'x').lpush('p:s', 1).get('p:s').exec();
    assert.match(mixed[1][0].message, /^WRONGTYPE/);
    assert.deepEqual(mixed[2], [null, 'x']);
  }),

  'automatic pipelines': () => onClient(async (redis) => {
    const got = await Promise.all(Array.from({ length: 2000 }, async (_, n) => {
      await redis.set(`auto:${n}`, n);
      return redis.get(`auto:${n}`);
    }));
    assert.deepEqual(got, Array.from({ length: 2000 }, (_, n) => String(n)));
  }, { enableAutoPipelining: true }),

  'transactions': () => onClient(async (redis) => {
    assert.deepEqual(await redis.multi().set('t:1', 'a').get('t:1').incr('t:2').exec(),
      [[null, 'OK'], [null, 'a'], [null, 1]]);
    await redis.multi({ pipeline: false });
    assert.equal(await redis.set('t:1', 'b'), 'QUEUED');
    assert.deepEqual(await redis.exec(), [[null, 'OK']]);
    const failing = await redis.multi().set('t:1', 'c').lpush('t:1', 'd').exec();
    assert.match(failing[1][0].message, /^WRONGTYPE/);
    await assert.rejects(redis.multi().set('t:1').exec(), /EXECABORT/);

    // WATCH: of two who read and write, the later begins anew. Keys of several shards.
    const other = redis.duplicate();
    await redis.watch('w:1', 'w:2', 'w:3');
    await other.set('w:2', 'other');
    assert.equal(await redis.multi().set('w:1', 'mine').exec(), null);
    await redis.watch('w:1');
    await redis.unwatch();
    await other.set('w:1', 'other');
    assert.deepEqual(await redis.multi().get('w:1').exec(), [[null, 'other']]);
    other.disconnect();
  }),

  'counters under WATCH by many': () => onClient(async (redis) => {
    await redis.mset('race:a', 0, 'race:b', 0);
    await Promise.all(Array.from({ length: 8 }, async () => {
      const one = redis.duplicate();
      for (let added = 0; added < 25;) {
        await one.watch('race:a', 'race:b');
        const [a, b] = await one.mget('race:a', 'race:b');
        assert.equal(a, b);
        if (await one.multi().set('race:a', +a + 1).set('race:b', +b + 1).exec()) added += 1;
      }
      one.disconnect();
    }));
    assert.deepEqual(await redis.mget('race:a', 'race:b'), ['200', '200']);
  }),

  'commands defined in Lua': () => onClient(async (redis) => {
    redis.defineCommand('twice', {
      numberOfKeys: 2,
      lua: "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1]) return {KEYS[1], ARGV[1], redis.call('GET', KEYS[2])}",
    });
    assert.deepEqual(await redis.twice('l:1', 'l:2', 'x'), ['l:1', 'x', 'x']);
    await redis.script('FLUSH');
    assert.deepEqual(await redis.twice('l:1', 'l:2', 'y'), ['l:1', 'y', 'y']);
    const results = await redis.pipeline().twice('l:1', 'l:2', 'z').get('l:1').twice('l:3', 'l:4', 'q').exec();
    assert.deepEqual(results, [[null, ['l:1', 'z', 'z']], [null, 'z'], [null, ['l:3', 'q', 'q']]]);
    assert.deepEqual(await redis.multi().twice('l:5', 'l:6', 'm').exec(), [[null, ['l:5', 'm', 'm']]]);
    redis.defineCommand('any', { lua: 'return {#KEYS, #ARGV, cjson.encode({a = {1, 2}}), {ok = "fine"}, false, 3.9}' });
    assert.deepEqual(await redis.any(1, 'k', 'a', 'b'), [1, 2, '{"a":[1,2]}', 'fine', null, 3]);
    redis.defineCommand('bad', { numberOfKeys: 0, lua: 'return redis.error_reply("MINE broke")' });
    await assert.rejects(redis.bad(), /^ReplyError: MINE broke/);
    // A library of functions.
    await redis.function('LOAD', 'REPLACE', "#!lua name=lib\nredis.register_function('double', function(keys, args) return args[1] * 2 end)");
    assert.equal(await redis.fcall('double', 0, 21), 42);
    await redis.function('DELETE', 'lib');
  }),

  'publish and subscribe': () => onClient(async (redis) => {
    const subscriber = redis.duplicate();
    const seen = [];
    subscriber.on('message', (channel, message) => seen.push([channel, message]));
    subscriber.on('pmessage', (pattern, channel, message) => seen.push([pattern, channel, message]));
    assert.equal(await subscriber.subscribe('news', 'sport'), 2);
    assert.equal(await subscriber.psubscribe('n*'), 3);
    for (let n = 0; n < 100; n += 1) await redis.publish('news', n);
    await until('200 messages', () => seen.length === 200);
    assert.deepEqual(seen.filter(([first]) => first === 'news').map(([, n]) => +n), [...Array(100).keys()]);
    assert.equal(await redis.publish('sport', 'x'), 1);
    assert.deepEqual(await redis.pubsub('NUMSUB', 'news', 'none'), ['news', 1, 'none', 0]);
    assert.equal(await subscriber.ping('still'), 'still');
    await subscriber.unsubscribe('news', 'sport');
    await subscriber.punsubscribe('n*');
    assert.equal(await subscriber.set('again', 'a plain client'), 'OK');
    subscriber.disconnect();
  }),

  'a subscriber that lost its connection subscribes again': () => onClient(async (redis) => {
    const subscriber = redis.duplicate({ retryStrategy: () => 20 });
    await subscriber.subscribe('again');
    const id = (await redis.client('LIST', 'TYPE', 'pubsub')).match(/^id=(\d+)/)[1];
    const closed = next(subscriber, 'close');
    assert.equal(await redis.client('KILL', 'ID', id), 1);
    await closed;
    const message = next(subscriber, 'message');
    await until('a receiver', () => redis.publish('again', 'here').then((receivers) => receivers === 1));
    assert.deepEqual(await message, ['again', 'here']);
    subscriber.disconnect();
  }),

  'streams and groups': () => onClient(async (redis) => {
    const ids = [];
    for (let n = 0; n < 20; n += 1) ids.push(await redis.xadd('stream', '*', 'n', n));
    assert.equal(await redis.xlen('stream'), 20);
    assert.deepEqual((await redis.xrange('stream', ids[3], ids[4])).map(([, fields]) => fields), [['n', '3'], ['n', '4']]);
    await redis.xgroup('CREATE', 'stream', 'group', '0');
    const [[, mine]] = await redis.xreadgroup('GROUP', 'group', 'me', 'COUNT', 5, 'STREAMS', 'stream', '>');
    assert.equal(mine.length, 5);
    assert.equal(await redis.xack('stream', 'group', ids[0], ids[1]), 2);
    assert.equal((await redis.xpending('stream', 'group'))[0], 3);
    const [, claimed] = await redis.xautoclaim('stream', 'group', 'you', 0, '0');
    assert.deepEqual(claimed.map(([id]) => id), ids.slice(2, 5));
    const waiting = redis.duplicate().xread('BLOCK', 10000, 'STREAMS', 'stream', 'other stream', '$', '$');
    await until('it waits', () => redis.info('clients').then((info) => /blocked_clients:1/.test(info)));
    const id = await redis.xadd('other stream', '*', 'a', 'b');
    assert.deepEqual(await waiting, [['other stream', [[id, ['a', 'b']]]]]);
  }),

  'blocking pops': () => onClient(async (redis) => {
    const other = redis.duplicate();
    const popped = other.blpop('b:1', 'b:2', 'b:3', 10);
    await until('it waits', () => redis.info('clients').then((info) => /blocked_clients:1/.test(info)));
    await redis.rpush('b:3', 'x');
    assert.deepEqual(await popped, ['b:3', 'x']);
    assert.equal(await other.blpop('b:1', 0.05), null);
    await redis.rpush('b:1', 'y');
    assert.equal(await other.blmove('b:1', 'b:4', 'LEFT', 'RIGHT', 10), 'y');
    await redis.zadd('b:z', 1, 'm');
    assert.deepEqual(await other.bzpopmin('b:z', 10), ['b:z', 'm', '1']);
    other.disconnect();
  }),

  'scan streams': () => onClient(async (redis) => {
    const pipeline = redis.pipeline();
    for (let n = 0; n < 3000; n += 1) pipeline.set(`scan:${n}`, n).sadd('scanned set', n).hset('scanned hash', n, n).zadd('scanned zset', n, n);
    await pipeline.exec();
    const keys = await items(redis.scanStream({ match: 'scan:*', count: 100 }));
    assert.equal(new Set(keys).size, 3000);
    assert.equal(new Set(await items(redis.sscanStream('scanned set'))).size, 3000);
    assert.equal((await items(redis.hscanStream('scanned hash', { match: '1*' }))).length >= 2 * 1111, true);
    assert.equal((await items(redis.zscanStream('scanned zset'))).length >= 6000, true);
    assert.deepEqual(await items(redis.scanStream({ match: 'scanned*', type: 'zset' })), ['scanned zset']);
  }),

  'prefixes, databases, names': () => onClient(async (redis) => {
    await redis.set('a', 1);
    const plain = redis.duplicate({ keyPrefix: '', db: 3 });
    assert.deepEqual(await plain.keys('pre:*'), ['pre:a']);
    assert.deepEqual(await plain.sort('pre:list', 'BY', 'nosort'), []);
    assert.equal(await plain.client('GETNAME'), 'mine');
    await plain.flushdb();
    assert.equal(await plain.dbsize(), 0);
    plain.disconnect();
  }, { keyPrefix: 'pre:', db: 3, connectionName: 'mine' }),

  'monitor': () => onClient(async (redis) => {
    const monitor = await redis.monitor();
    const seen = next(monitor, 'monitor', (_, args) => args[0].toLowerCase() === 'set');
    await redis.set('monitored', 'x');
    assert.deepEqual((await seen)[1].slice(1), ['monitored', 'x']);
    monitor.disconnect();
  }),
});
