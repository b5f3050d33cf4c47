// socket.io over three servers that know of each other through Redis: the adapters for Pub/Sub, for
// sharded Pub/Sub and for streams.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { connection, next, run, until } from './support.mjs';

const adapters = {
  'Pub/Sub': (one, two) => createAdapter(one, two),
  'sharded Pub/Sub': (one, two) => createShardedAdapter(one, two),
  streams: (one) => createStreamsAdapter(one),
};

async function threeServers(adapter, body) {
  const servers = [];
  const sockets = [];
  const clients = [];
  const client = async () => {
    const made = await createClient({ socket: connection, RESP: 2 }).connect();
    clients.push(made);
    return made;
  };
  for (let n = 0; n < 3; n += 1) {
    const http = createServer();
    const io = new Server(http, { adapter: adapter(await client(), await client()) });
    io.on('connection', (socket) => socket.on('join', (room, done) => { socket.join(room); done(); }));
    await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
    servers.push(io);
    const socket = connect(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] });
    await next(socket, 'connect');
    sockets.push(socket);
  }
  try {
    await until('three servers', async () => (await servers[0].fetchSockets().catch(() => [])).length === 3);
    await body(servers, sockets);
  } finally {
    sockets.forEach((socket) => socket.close());
    await Promise.all(servers.map((server) => server.close()));
    // Not cut off: the streams' reader still waits with one of them, and ends with it.
    clients.forEach((one) => { if (one.isOpen) one.close().catch(() => {}); });
  }
}

await run(Object.fromEntries(Object.entries(adapters).map(([name, adapter]) => [name, () =>
  threeServers(adapter, async (servers, sockets) => {
    const heard = (count, event) => Promise.all(sockets.slice(0, count).map((socket) => next(socket, event)));
    const all = heard(3, 'hello');
    servers[0].emit('hello', { to: 'all' }, Buffer.from([1, 2, 3]));
    for (const [message, bytes] of await all) {
      assert.deepEqual(message, { to: 'all' });
      assert.deepEqual(Buffer.from(bytes), Buffer.from([1, 2, 3]));
    }
    await Promise.all(sockets.slice(0, 2).map((socket) => socket.emitWithAck('join', 'room')));
    const inRoom = heard(2, 'room only');
    sockets[2].on('room only', () => { throw new Error('not in the room'); });
    // A server that hears of a room only now subscribes to it; so until it is heard.
    const again = setInterval(() => servers[2].to('room').emit('room only', 1), 50);
    await inRoom;
    clearInterval(again);
    assert.equal((await servers[1].in('room').fetchSockets()).length, 2);
    servers[1].on('question', (question, answer) => answer(question + 1));
    servers[2].on('question', (question, answer) => answer(question + 2));
    assert.deepEqual((await servers[0].serverSideEmitWithAck('question', 40)).sort(), [41, 42]);
    const gone = next(sockets[0], 'disconnect');
    servers[2].in('room').disconnectSockets(true);
    await gone;
  })])));
