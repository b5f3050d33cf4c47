// Bull, BullMQ's predecessor: other scripts, over ioredis 5.

import assert from 'node:assert/strict';
import Queue from 'bull';
import { connection, run, until } from './support.mjs';

async function onQueue(name, body, options = {}) {
  const queue = new Queue(name, { redis: connection, ...options });
  await queue.isReady();
  try {
    await body(queue);
  } finally {
    await queue.close();
  }
}

/** Does `action` again and again until `event` is heard: who listens subscribes, and that takes a while. */
async function heard(queue, event, action) {
  let seen;
  queue.once(event, (...args) => { seen = args; });
  await until(event, async () => { if (!seen) await action(); return seen; });
  return seen;
}

await run({
  'jobs are processed, once each': () => onQueue('many', async (queue) => {
    const seen = new Uint8Array(1000);
    let done = 0;
    queue.process(20, async (job) => { seen[job.data.n] += 1; return job.data.n; });
    queue.on('completed', () => { done += 1; });
    await queue.addBulk(Array.from({ length: 500 }, (_, n) => ({ data: { n } })));
    await Promise.all(Array.from({ length: 500 }, (_, n) => queue.add({ n: n + 500 })));
    await until('all jobs', () => done === 1000);
    assert(seen.every((times) => times === 1));
    const counts = await queue.getJobCounts();
    assert.deepEqual(counts, { waiting: 0, active: 0, completed: 1000, failed: 0, delayed: 0, paused: 0 });
  }),

  'results, progress and logs': () => onQueue('results', async (queue) => {
    queue.process(async (job) => {
      await job.progress(40);
      await job.log('a line');
      return { doubled: job.data.n * 2 };
    });
    await heard(queue, 'global:progress', () => queue.add({ n: 1 }));
    const job = await queue.add({ n: 21 });
    assert.deepEqual(await job.finished(), { doubled: 42 });
    assert.deepEqual((await queue.getJobLogs(job.id)).logs, ['a line']);
    assert.equal(await (await queue.getJob(job.id)).getState(), 'completed');
  }),

  'delays, priorities, lifo': () => onQueue('order', async (queue) => {
    const seen = [];
    await queue.add('p', { is: 'low' }, { priority: 9 });
    await queue.add('p', { is: 'high' }, { priority: 1 });
    await queue.add('p', { is: 'middle' }, { priority: 5 });
    await queue.add('p', { is: 'late' }, { delay: 400 });
    await queue.add('p', { is: 'first' }, { lifo: true });
    assert.equal(await queue.getDelayedCount(), 1);
    queue.process('p', async (job) => { seen.push(job.data.is); });
    await until('all jobs', () => seen.length === 5);
    assert.deepEqual(seen, ['first', 'high', 'middle', 'low', 'late']);
  }),

  'retries with backoff, and failures': () => onQueue('retries', async (queue) => {
    let tries = 0;
    queue.process(async (job) => {
      tries += 1;
      if (job.attemptsMade < 2) throw new Error('not yet');
      return 'done';
    });
    const job = await queue.add({}, { attempts: 3, backoff: { type: 'fixed', delay: 50 } });
    assert.equal(await job.finished(), 'done');
    assert.equal(tries, 3);
    const bad = await queue.add({}, { attempts: 1 });
    await assert.rejects(bad.finished(), /not yet/);
    const failed = await queue.getJob(bad.id);
    assert.equal(failed.failedReason, 'not yet');
    await failed.retry();
    await until('the next failure', () => tries >= 5 && failed.getState().then((state) => state === 'failed'));
  }),

  'repeated jobs': () => onQueue('repeat', async (queue) => {
    let ticks = 0;
    queue.process('tick', async () => { ticks += 1; });
    await queue.add('tick', {}, { repeat: { every: 100, limit: 4 } });
    assert.equal((await queue.getRepeatableJobs()).length, 1);
    await until('four ticks', () => ticks === 4);
    await queue.add('tick', {}, { repeat: { cron: '0 0 1 1 *' } });
    await queue.removeRepeatable('tick', { cron: '0 0 1 1 *' });
  }),

  'a limiter holds back': () => onQueue('limited', async (queue) => {
    const at = [];
    queue.process(5, async () => { at.push(Date.now()); });
    await queue.addBulk(Array.from({ length: 9 }, (_, n) => ({ data: n })));
    await until('all jobs', () => at.length === 9);
    assert(at[8] - at[0] >= 2 * 300 - 100, `took ${at[8] - at[0]} ms`);
  }, { limiter: { max: 3, duration: 300 } }),

  'pause, resume, events of other processes': () => onQueue('paused', async (queue) => {
    let done = 0;
    queue.process(async () => { done += 1; });
    await heard(queue, 'global:paused', async () => { await queue.resume(); await queue.pause(); });
    await heard(queue, 'global:completed', async () => {
      await queue.pause();
      const before = done;
      await queue.add({});
      assert.equal(await queue.getPausedCount(), 1);
      assert.equal(done, before);
      await queue.resume();
      await until('the job', () => done === before + 1);
    });
    await queue.pause(true);
    await queue.resume(true);
  }),

  'cleaning, emptying, the end': () => onQueue('clean', async (queue) => {
    queue.process('x', async () => {});
    await queue.addBulk(Array.from({ length: 20 }, () => ({ name: 'x', data: {} })));
    await until('all jobs', () => queue.getCompletedCount().then((count) => count === 20));
    assert.equal((await queue.clean(0, 'completed', 12)).length, 12);
    await queue.pause();
    await queue.addBulk(Array.from({ length: 20 }, () => ({ name: 'x', data: {} })));
    await queue.removeJobs('*1');
    await queue.empty();
    assert.equal(await queue.count(), 0);
    await queue.obliterate();
    assert.equal((await queue.client.keys('bull:clean:*')).length, 0);
  }),
});
