// node-redis, with RESP2 and RESP3.

import assert from 'node:assert/strict';
import { createClient, createClientPool, defineScript, WatchError } from 'redis';
import { connection, run, until } from './support.mjs';

async function onClient(RESP, body, options = {}) {
  const client = createClient({ socket: connection, RESP, ...options });
  client.on('error', (error) => console.log(`client: ${error.message}`));
  await client.connect();
  try {
    await body(client);
  } finally {
    client.destroy();
  }
}

const double = defineScript({
  SCRIPT: "redis.call('SET', KEYS[1], ARGV[1] * 2) return redis.call('GET', KEYS[1])",
  NUMBER_OF_KEYS: 1,
  parseCommand: (parser, key, value) => { parser.pushKey(key); parser.push(String(value)); },
  transformReply: Number,
});

const cases = (RESP) => ({
  'replies of all shapes': () => onClient(RESP, async (client) => {
    await client.flushAll();
    assert.equal(await client.set('k', 'ünïcode ✓', { expiration: { type: 'EX', value: 100 } }), 'OK');
    assert.equal(await client.get('k'), 'ünïcode ✓');
    assert.equal(await client.ttl('k') > 90, true);
    assert.equal(await client.set('k', 'x', { condition: 'NX' }), null);
    await client.hSet('h', { a: '1', b: 'two' });
    assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: 'two' });
    assert.equal(await client.hExists('h', 'a'), 1);
    await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: -Infinity, value: 'b' }]);
    assert.deepEqual(await client.zRangeWithScores('z', 0, -1), [{ score: -Infinity, value: 'b' }, { score: 1.5, value: 'a' }]);
    assert.equal(await client.zScore('z', 'a'), 1.5);
    assert.deepEqual(await client.zPopMin('z'), { value: 'b', score: -Infinity });
    assert.equal(await client.incrByFloat('f', 2.5), '2.5');
    await client.sAdd('s', ['x', 'y']);
    assert.deepEqual(new Set(await client.sMembers('s')), new Set(['x', 'y']));
    await client.geoAdd('g', [{ longitude: 13.361389, latitude: 38.115556, member: 'Palermo' },
      { longitude: 15.087269, latitude: 37.502669, member: 'Catania' }]);
    assert.equal(await client.geoDist('g', 'Palermo', 'Catania', 'km'), 166.2742);
    assert.equal((await client.lPosCount('none', 'x', 2)).length, 0);
    await assert.rejects(client.lPush('k', 'x'), /WRONGTYPE/);
    assert.equal((await client.configGet('maxmemory-policy'))['maxmemory-policy'], 'noeviction');
    assert.equal((await client.commandInfo(['get']))[0].name, 'get');
    assert.equal((await client.clientInfo()).db, 0);
    assert.equal((await client.memoryUsage('k')) > 0, true);
    assert.deepEqual(await client.latencyLatest(), []);
  }),

  'many commands at once': () => onClient(RESP, async (client) => {
    const got = await Promise.all(Array.from({ length: 3000 }, async (_, n) => {
      await client.set(`n:${n}`, n);
      return client.get(`n:${n}`);
    }));
    assert.deepEqual(got, Array.from({ length: 3000 }, (_, n) => String(n)));
    const mget = await client.mGet(Array.from({ length: 3000 }, (_, n) => `n:${n}`));
    assert.deepEqual(mget, got);
    const keys = new Set();
    for await (const some of client.scanIterator({ MATCH: 'n:*', COUNT: 200 })) some.forEach((key) => keys.add(key));
    assert.equal(keys.size, 3000);
  }),

  'transactions and WATCH': () => onClient(RESP, async (client) => {
    assert.deepEqual(await client.multi().set('t1', '1').incr('t1').hSet('t2', 'f', 'v').hGetAll('t2').exec()
      .then(([a, b, c, d]) => [a, b, c, { ...d }]), ['OK', 2, 1, { f: 'v' }]);
    const pool = await createClientPool({ socket: connection, RESP }).connect();
    await pool.set('watched', '1');
    await assert.rejects(pool.execute(async (one) => {
      await one.watch('watched');
      await pool.set('watched', '2');
      await one.multi().set('watched', '3').exec();
    }), WatchError);
    assert.equal(await pool.get('watched'), '2');
    await pool.destroy();
  }),

  'scripts': () => onClient(RESP, async (client) => {
    await client.scriptFlush();
    assert.equal(await client.double('scripted', 21), 42);
    assert.equal(await client.double('scripted', 22), 44);
    assert.deepEqual(await client.multi().double('scripted', 4).exec(), [8]);
    assert.deepEqual(await client.eval('return {1, {2, "three"}, KEYS[1]}', { keys: ['k'], arguments: [] }), [1, [2, 'three'], 'k']);
    if (RESP === 3) {
      const map = await client.eval("redis.setresp(3) return redis.call('HGETALL', KEYS[1])", { keys: ['t2'] });
      assert.deepEqual({ ...map }, { f: 'v' });
    }
  }, { scripts: { double } }),

  'publish and subscribe': () => onClient(RESP, async (client) => {
    const subscriber = await client.duplicate().connect();
    const seen = [];
    await subscriber.subscribe('news', (message, channel) => seen.push([channel, message]));
    await subscriber.pSubscribe('n*', (message, channel) => seen.push(['pattern', channel, message]));
    await subscriber.sSubscribe('shard', (message, channel) => seen.push([channel, message]));
    assert.equal(await client.publish('news', 'a'), 2);
    assert.equal(await client.sPublish('shard', 'b'), 1);
    await until('three messages', () => seen.length === 3);
    if (RESP === 3) assert.equal(await subscriber.set('while', 'subscribed'), 'OK');
    await subscriber.unsubscribe();
    await subscriber.pUnsubscribe();
    await subscriber.sUnsubscribe();
    assert.deepEqual(await client.pubSubChannels(), []);
    subscriber.destroy();
  }),

  'blocking on a connection of its own': () => onClient(RESP, async (client) => {
    const pool = await createClientPool({ socket: connection, RESP }).connect();
    const popped = pool.blPop(['q1', 'q2'], 10);
    await until('it waits', () => client.info('clients').then((info) => /blocked_clients:1/.test(info)));
    await client.rPush('q2', 'x');
    assert.deepEqual({ ...(await popped) }, { key: 'q2', element: 'x' });
    await client.xAdd('st', '*', { a: 'b' });
    await client.xGroupCreate('st', 'g', '0');
    const [{ name, messages }] = await client.xReadGroup('g', 'me', { key: 'st', id: '>' }, { COUNT: 1 });
    assert.equal(name, 'st');
    assert.deepEqual({ ...messages[0].message }, { a: 'b' });
    assert.equal((await client.xInfoStream('st')).length, 1);
    await pool.destroy();
  }),

  'hash fields that expire': () => onClient(RESP, async (client) => {
    await client.hSet('fields', { a: '1', b: '2' });
    let set;
    try {
      set = await client.hpExpire('fields', ['a', 'none'], 30);
    } catch (error) {
      assert.match(error.message, /unknown command/);
      return; // Older than Redis 7.4.
    }
    assert.deepEqual(set, [1, -2]);
    await until('a is gone', () => client.hLen('fields').then((length) => length === 1));
  }),
});

const named = (words, all) => Object.fromEntries(Object.entries(all).map(([name, body]) => [`${words}: ${name}`, body]));

await run({
  ...named('RESP2', cases(2)),
  ...named('RESP3', cases(3)),

  'a cache at the client hears of changes': () => onClient(3, async (client) => {
    const other = await createClient({ socket: connection }).connect();
    await other.set('cached', '1');
    assert.equal(await client.get('cached'), '1');
    // The second read comes from the client: the server counts no other.
    const before = await other.info('commandstats');
    assert.equal(await client.get('cached'), '1');
    const calls = (info) => info.match(/cmdstat_get:calls=(\d+)/)[1];
    assert.equal(calls(await other.info('commandstats')), calls(before));
    await other.set('cached', '2');
    await until('the new value', () => client.get('cached').then((value) => value === '2'));
    await other.flushAll();
    await until('nothing', () => client.get('cached').then((value) => value === null));
    other.destroy();
  }, { clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' } }),
});
