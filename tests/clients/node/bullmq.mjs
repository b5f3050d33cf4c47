// BullMQ: what its documentation shows, each on a queue of its own.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DelayedError, FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker, WaitingChildrenError } from 'bullmq';
import { createClient } from 'redis';
import { connection, next, port, run, until } from './support.mjs';

/** Runs `body` with a queue, its events and a maker of workers, and closes them all. */
async function onQueue(name, body, options = {}) {
  const queue = new Queue(name, { connection, ...options });
  // From the first event on: what happens before the first XREAD waits is not lost.
  const events = new QueueEvents(name, { connection, lastEventId: '0-0' });
  await events.waitUntilReady();
  const workers = [];
  const work = (processor, opts = {}) => {
    const worker = new Worker(name, processor, { connection, ...opts });
    worker.on('error', (error) => console.log(`worker of ${name}: ${error.message}`));
    workers.push(worker);
    return worker;
  };
  try {
    await body(queue, work, events);
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
    await events.close();
    await queue.close();
  }
}

const NO_JOBS = {
  active: 0, completed: 0, delayed: 0, failed: 0, prioritized: 0, waiting: 0, 'waiting-children': 0,
};

await run({
  'a result comes back': () => onQueue('results', async (queue, work, events) => {
    work(async (job) => {
      await job.updateProgress({ percent: 40 });
      await job.log('first line');
      await job.log('second line');
      return { doubled: job.data.n * 2 };
    });
    const progress = next(events, 'progress');
    const job = await queue.add('double', { n: 21 });
    assert.deepEqual(await job.waitUntilFinished(events, 20000), { doubled: 42 });
    assert.deepEqual((await progress)[0], { jobId: job.id, data: { percent: 40 } });
    assert.deepEqual((await queue.getJobLogs(job.id)).logs, ['first line', 'second line']);
    const stored = await queue.getJob(job.id);
    assert.equal(await stored.getState(), 'completed');
    assert.deepEqual(stored.returnvalue, { doubled: 42 });
    assert.equal(stored.progress.percent, 40);
    await stored.updateData({ n: 'ünïcode ✓' });
    assert.deepEqual((await queue.getJob(job.id)).data, { n: 'ünïcode ✓' });
    await stored.remove();
    assert.equal(await queue.getJob(job.id), undefined);
  }),

  'first in is first out, and lifo last in': () => onQueue('order', async (queue, work) => {
    await queue.addBulk(Array.from({ length: 50 }, (_, n) => ({ name: 'job', data: n })));
    await queue.add('job', 'front', { lifo: true });
    const seen = [];
    work(async (job) => { seen.push(job.data); });
    await until('all jobs', () => seen.length === 51);
    assert.deepEqual(seen, ['front', ...Array(50).keys()]);
  }),

  'delayed jobs come when they are due': () => onQueue('delayed', async (queue, work) => {
    const late = [];
    work(async (job) => { late.push([job.name, Date.now() - job.timestamp]); });
    await queue.add('third', 0, { delay: 900 });
    await queue.add('first', 0, { delay: 300 });
    await queue.add('second', 0, { delay: 600 });
    const far = await queue.add('far', 0, { delay: 3_600_000 });
    const moved = await queue.add('moved', 0, { delay: 3_600_000 });
    assert.equal(await far.getState(), 'delayed');
    await until('three jobs', () => late.length === 3);
    assert.deepEqual(late.map(([name]) => name), ['first', 'second', 'third']);
    late.forEach(([name, ms], at) => assert(ms >= 299 + at * 300, `${name} came after ${ms} ms`));
    await far.promote();
    await moved.changeDelay(50);
    await until('the others', () => late.length === 5);
    assert.equal(await queue.getDelayedCount(), 0);
  }),

  'a lower number is a higher priority': () => onQueue('priorities', async (queue, work) => {
    for (const priority of [5, 1, 9, 3, 1, 0, 2097151]) await queue.add('job', 0, { priority });
    const changed = await queue.add('job', 0, { priority: 100 });
    await changed.changePriority({ priority: 2 });
    assert.equal(await queue.getPrioritizedCount(), 7);
    assert.deepEqual(await queue.getCountsPerPriority([0, 1, 2, 9]), { 0: 1, 1: 2, 2: 1, 9: 1 });
    const seen = [];
    work(async (job) => { seen.push(job.priority); });
    await until('all jobs', () => seen.length === 8);
    assert.deepEqual(seen, [0, 1, 1, 2, 3, 5, 9, 2097151]);
  }),

  'schedulers make jobs again and again': () => onQueue('schedulers', async (queue, work) => {
    let every = 0;
    let cron = 0;
    work(async (job) => { if (job.name === 'tick') every += 1; else cron += 1; });
    await queue.upsertJobScheduler('every', { every: 150, limit: 5 }, { name: 'tick', data: { a: 1 } });
    await queue.upsertJobScheduler('cron', { pattern: '* * * * * *' }, { name: 'tock' });
    assert.deepEqual((await queue.getJobSchedulers()).map(({ key }) => key).sort(), ['cron', 'every']);
    assert.equal((await queue.getJobScheduler('every')).every, 150);
    await until('five ticks and two tocks', () => every >= 5 && cron >= 2);
    await queue.upsertJobScheduler('cron', { pattern: '0 0 1 1 *' }, { name: 'tock' });
    assert.equal((await queue.getJobScheduler('cron')).pattern, '0 0 1 1 *');
    assert.equal(await queue.removeJobScheduler('cron'), true);
    assert.equal(await queue.removeJobScheduler('cron'), false);
    assert.equal(every, 5);
  }),

  'parents wait for their children': () => onQueue('parents', (parents, workParent) =>
    onQueue('children', async (children, workChild, childEvents) => {
      const flow = new FlowProducer({ connection });
      workChild(async (job) => job.data * job.data, { concurrency: 4 });
      const sums = [];
      workParent(async (job) => {
        const values = Object.values(await job.getChildrenValues());
        sums.push([job.name, values.reduce((a, b) => a + b, 0)]);
        return values.length;
      });
      const child = (data) => ({ name: 'square', queueName: 'children', data });
      const tree = await flow.add({
        name: 'top', queueName: 'parents', children: [
          { name: 'middle', queueName: 'parents', children: [1, 2, 3].map(child) },
          ...[4, 5].map(child),
        ],
      });
      await until('the top', () => tree.job.getState().then((state) => state === 'completed'));
      assert.deepEqual(sums, [['middle', 14], ['top', 44]]);
      assert.equal((await tree.job.getDependenciesCount()).processed, 3);
      const read = await flow.getFlow({ id: tree.job.id, queueName: 'parents' });
      assert.equal(read.children.length, 3);

      // A child that fails takes its parent along, when it says so.
      const failing = await flow.add({
        name: 'fails', queueName: 'parents', children: [
          { name: 'bad', queueName: 'broken', opts: { failParentOnFailure: true } },
        ],
      });
      assert.equal(await failing.job.getState(), 'waiting-children');
      await onQueue('broken', async (_, work) => {
        work(async () => { throw new Error('no'); });
        await until('the failure', () => failing.job.getState().then((state) => state === 'failed'));
      });

      // Many flows at once.
      const flows = await flow.addBulk(Array.from({ length: 40 }, (_, n) => ({
        name: `flow ${n}`, queueName: 'parents', children: [child(n), child(n + 1)],
      })));
      await until('the flows', () => sums.length === 42);
      assert.deepEqual(new Map(sums.slice(2)), new Map(flows.map((_, n) => [`flow ${n}`, n * n + (n + 1) * (n + 1)])));
      await flow.close();
      void childEvents;
    })),

  'a job adds children to itself': () => onQueue('steps', async (queue, work, events) => {
    work(async (job, token) => {
      if (job.name === 'child') return 'leaf';
      if (job.data.step === 1) {
        await queue.add('child', {}, { parent: { id: job.id, queue: job.queueQualifiedName } });
        await job.updateData({ step: 2 });
        if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
      }
      if (job.data.step === 2) {
        await job.updateData({ step: 3 });
        await job.moveToDelayed(Date.now() + 100, token);
        throw new DelayedError();
      }
      return Object.values(await job.getChildrenValues());
    }, { concurrency: 2 });
    const job = await queue.add('parent', { step: 1 });
    assert.deepEqual(await job.waitUntilFinished(events, 20000), ['leaf']);
  }),

  'a limiter holds workers back': () => onQueue('limited', async (queue, work) => {
    const at = [];
    const limiter = { max: 5, duration: 400 };
    work(async () => { at.push(Date.now()); }, { limiter, concurrency: 3 });
    work(async () => { at.push(Date.now()); }, { limiter, concurrency: 3 });
    await queue.addBulk(Array.from({ length: 15 }, (_, n) => ({ name: 'job', data: n })));
    await until('all jobs', () => at.length === 15);
    at.sort((a, b) => a - b);
    const took = at[14] - at[0];
    assert(took >= 2 * 400 - 50, `15 jobs took only ${took} ms`);
  }),

  'a worker stops its queue for a while': () => onQueue('manual limit', async (queue, work) => {
    let tries = 0;
    const worker = work(async () => {
      tries += 1;
      if (tries > 1) return;
      await queue.rateLimit(300);
      throw Worker.RateLimitError();
    }, { limiter: { max: 1, duration: 100 } });
    const start = Date.now();
    const done = next(worker, 'completed');
    await queue.add('job', 0);
    await done;
    assert(Date.now() - start >= 290);
    assert.equal(tries, 2);
    await queue.setGlobalConcurrency(1);
    assert.equal(await queue.getGlobalConcurrency(), 1);
  }),

  'global concurrency bounds all workers together': () => onQueue('global', async (queue, work) => {
    await queue.setGlobalConcurrency(2);
    let now = 0;
    let most = 0;
    let done = 0;
    const processor = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now -= 1;
      done += 1;
    };
    work(processor, { concurrency: 5 });
    work(processor, { concurrency: 5 });
    await queue.addBulk(Array.from({ length: 20 }, (_, n) => ({ name: 'job', data: n })));
    await until('all jobs', () => done === 20);
    assert.equal(most, 2);
  }),

  'failures are tried again, with backoff': () => onQueue('retries', async (queue, work, events) => {
    const tries = {};
    work(async (job) => {
      (tries[job.name] ??= []).push(Date.now());
      if (job.name === 'hopeless') throw new UnrecoverableError('never');
      if (job.attemptsMade < 3) throw new Error(`try ${job.attemptsMade}`);
      return 'at last';
    }, { concurrency: 3 });
    const exhausted = next(events, 'retries-exhausted');
    const fixed = await queue.add('fixed', 0, { attempts: 4, backoff: 60 });
    const growing = await queue.add('growing', 0, { attempts: 4, backoff: { type: 'exponential', delay: 60 } });
    const short = await queue.add('short', 0, { attempts: 2 });
    const hopeless = await queue.add('hopeless', 0, { attempts: 9 });
    assert.equal(await fixed.waitUntilFinished(events, 20000), 'at last');
    assert.equal(await growing.waitUntilFinished(events, 20000), 'at last');
    await assert.rejects(short.waitUntilFinished(events, 20000), /try 1/);
    await assert.rejects(hopeless.waitUntilFinished(events, 20000), /never/);
    assert.equal((await exhausted)[0].jobId, short.id);
    assert.equal(tries.hopeless.length, 1);
    assert(tries.fixed[3] - tries.fixed[0] >= 3 * 60 - 10);
    assert(tries.growing[3] - tries.growing[0] >= (1 + 2 + 4) * 60 - 10);
    const stored = await queue.getJob(short.id);
    assert.equal(stored.failedReason, 'try 1');
    assert.equal(stored.stacktrace.length, 2);
    await stored.retry();
    await until('the third try', () => stored.getState().then((state) => state === 'failed' && tries.short.length === 3));
    await queue.retryJobs({ state: 'failed' });
    await until('all again', () => tries.hopeless.length === 2 && tries.short.length === 4);
  }),

  'what a killed worker held is done by another': () => onQueue('stalled', async (queue, work, events) => {
    const jobs = await queue.addBulk([1, 2, 3].map((n) => ({ name: 'job', data: n })));
    const child = fork(fileURLToPath(new URL('./bullmq_hanging.mjs', import.meta.url)), [String(port), 'stalled']);
    await until('three active jobs', () => queue.getActiveCount().then((count) => count === 3));
    child.kill('SIGKILL');
    const stalled = next(events, 'stalled');
    const done = [];
    work(async (job) => { done.push(job.data); return 'rescued'; },
      { stalledInterval: 300, lockDuration: 600, concurrency: 3 });
    const [{ jobId: stalledId }] = await stalled;
    for (const job of jobs) assert.equal(await job.waitUntilFinished(events, 20000), 'rescued');
    assert(jobs.some(({ id }) => id === stalledId), `an unknown job stalled: ${stalledId}`);
    assert.deepEqual(done.sort(), [1, 2, 3]);
  }),

  'long jobs keep their lock': () => onQueue('locks', async (queue, work, events) => {
    let runs = 0;
    const processor = async () => {
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return 'done';
    };
    work(processor, { lockDuration: 500, stalledInterval: 200 });
    work(processor, { lockDuration: 500, stalledInterval: 200 });
    const job = await queue.add('long', 0);
    assert.equal(await job.waitUntilFinished(events, 20000), 'done');
    assert.equal(runs, 1);
  }),

  'events tell a job\'s life': () => onQueue('events', async (queue, work, events) => {
    const seen = [];
    for (const name of ['added', 'waiting', 'active', 'completed', 'removed', 'paused', 'resumed', 'delayed', 'failed']) {
      events.on(name, (args) => seen.push([name, args.jobId]));
    }
    const told = (name, id) => until(`${name} of ${id}`, () => seen.some((one) => one[0] === name && one[1] === id));
    await queue.pause();
    await told('paused', undefined);
    const job = await queue.add('job', 0, { jobId: 'mine' });
    await told('added', 'mine');
    work(async () => 'x');
    await queue.resume();
    await told('resumed', undefined);
    await told('completed', 'mine');
    await job.remove();
    await told('removed', 'mine');
    const order = seen.filter(([, id]) => id === 'mine').map(([name]) => name);
    assert.deepEqual(order, ['added', 'waiting', 'active', 'completed', 'removed']);
    // From the beginning of the stream, the same again.
    const again = new QueueEvents('events', { connection, lastEventId: '0-0' });
    const [{ returnvalue }] = await next(again, 'completed');
    assert.equal(returnvalue, 'x');
    await again.close();
    assert.equal(await queue.trimEvents(0) > 0, true);
  }),

  'a paused queue hands out nothing': () => onQueue('paused', async (queue, work) => {
    let done = 0;
    const worker = work(async () => { done += 1; });
    await worker.waitUntilReady();
    await queue.pause();
    assert.equal(await queue.isPaused(), true);
    await queue.addBulk([1, 2, 3].map((n) => ({ name: 'job', data: n })));
    assert.equal(await queue.getJobCountByTypes('paused', 'waiting'), 3);
    assert.equal(done, 0);
    await queue.resume();
    await until('all jobs', () => done === 3);
    await worker.pause();
    await queue.add('job', 4);
    assert.equal(await queue.getWaitingCount(), 1);
    worker.resume();
    await until('the last', () => done === 4);
  }),

  'the same id or deduplication key is one job': () => onQueue('twice', async (queue, work, events) => {
    const duplicated = next(events, 'duplicated');
    await queue.add('job', 1, { jobId: 'one' });
    await queue.add('job', 2, { jobId: 'one' });
    assert.equal((await duplicated)[0].jobId, 'one');
    const deduplicated = next(events, 'deduplicated');
    const first = await queue.add('job', 3, { deduplication: { id: 'two', ttl: 60000 } });
    const second = await queue.add('job', 4, { deduplication: { id: 'two', ttl: 60000 } });
    assert.equal(second.id, first.id);
    assert.equal((await deduplicated)[0].jobId, first.id);
    assert.equal(await queue.getDeduplicationJobId('two'), first.id);
    assert.equal(await queue.removeDeduplicationKey('two'), 1);
    assert.equal(await queue.getWaitingCount(), 2);
  }),

  'counts, cleaning, draining, and the end of a queue': () => onQueue('counts', async (queue, work) => {
    const worker = work(async (job) => { if (job.name === 'bad') throw new Error('bad'); }, { concurrency: 10 });
    await queue.addBulk(Array.from({ length: 30 }, (_, n) => ({ name: n % 3 ? 'good' : 'bad', data: n })));
    await until('all jobs', async () => {
      const { completed, failed } = await queue.getJobCounts();
      return completed === 20 && failed === 10;
    });
    await worker.close();
    await queue.addBulk([
      ...Array.from({ length: 7 }, () => ({ name: 'wait', data: 0 })),
      ...Array.from({ length: 6 }, () => ({ name: 'later', data: 0, opts: { delay: 100000 } })),
      ...Array.from({ length: 5 }, () => ({ name: 'first', data: 0, opts: { priority: 4 } })),
    ]);
    assert.deepEqual(await queue.getJobCounts(), {
      ...NO_JOBS, completed: 20, failed: 10, waiting: 7, delayed: 6, prioritized: 5,
    });
    assert.equal((await queue.getJobs(['completed'], 0, 4)).length, 5);
    assert.equal((await queue.getFailed()).length, 10);
    assert.equal((await queue.clean(0, 15, 'completed')).length, 15);
    assert.equal((await queue.clean(0, 0, 'failed')).length, 10);
    assert.equal((await queue.clean(0, 2, 'wait')).length, 2);
    assert.deepEqual(await queue.getJobCounts(), {
      ...NO_JOBS, completed: 5, waiting: 5, delayed: 6, prioritized: 5,
    });
    await queue.promoteJobs({ count: 100 });
    assert.equal(await queue.getDelayedCount(), 0);
    await queue.drain();
    assert.deepEqual(await queue.getJobCounts(), { ...NO_JOBS, completed: 5 });
    await queue.obliterate();
    assert.deepEqual(await queue.getJobCounts(), NO_JOBS);
    const client = await createClient({ socket: connection }).connect();
    assert.deepEqual(await client.keys('bull:counts:*').then((keys) => keys.filter((key) => !/:(events|meta)$/.test(key))), []);
    client.destroy();
  }),

  'finished jobs are kept by number and removed': () => onQueue('keep', async (queue, work) => {
    let done = 0;
    work(async () => { done += 1; }, { removeOnComplete: { count: 5 }, concurrency: 4 });
    await queue.addBulk(Array.from({ length: 40 }, (_, n) => ({ name: 'job', data: n })));
    await until('all jobs', async () => done === 40 && (await queue.getActiveCount()) === 0);
    assert.equal(await queue.getCompletedCount(), 5);
    const last = await queue.add('job', 0, { removeOnComplete: true });
    await until('the last', () => queue.getJob(last.id).then((job) => job === undefined));
  }),

  'workers, metrics and meta data': () => onQueue('meta', async (queue, work) => {
    let done = 0;
    const worker = work(async () => { done += 1; }, { name: 'by-name', metrics: { maxDataPoints: 100 } });
    await worker.waitUntilReady();
    await until('the worker in CLIENT LIST', () => queue.getWorkersCount().then((count) => count === 1));
    const [known] = await queue.getWorkers();
    assert.match(known.rawname, /:w:by-name$/, JSON.stringify(known));
    await queue.addBulk(Array.from({ length: 9 }, (_, n) => ({ name: 'job', data: n })));
    await until('all jobs', () => done === 9);
    await until('the count', () => queue.getMetrics('completed').then(({ meta }) => meta.count === 9));
    assert.match(await queue.getVersion(), /^bullmq:/);
    assert.match(await queue.exportPrometheusMetrics(), /bullmq_job_count\{queue="meta", state="completed"\} 9/);
  }),

  'jobs are taken by hand': () => onQueue('by hand', async (queue, work, events) => {
    const worker = work(null);
    const job = await queue.add('job', 'x');
    const taken = await worker.getNextJob('token');
    assert.equal(taken.id, job.id);
    assert.equal(await taken.extendLock('token', 30000), 1);
    await assert.rejects(taken.moveToCompleted('y', 'another token', false), /lock|token/i);
    await taken.moveToCompleted('y', 'token', false);
    assert.equal(await job.waitUntilFinished(events, 20000), 'y');
  }),

  'over node-redis instead of ioredis': async () => {
    const client = () => createClient({ socket: connection });
    const clients = [client(), client(), client()];
    const [forQueue, forWorker, forEvents] = clients;
    const queue = new Queue('node-redis', { connection: forQueue });
    const worker = new Worker('node-redis', async (job) => job.data + 1, { connection: forWorker });
    worker.on('error', (error) => console.log(`worker: ${error.message}`));
    const events = new QueueEvents('node-redis', { connection: forEvents });
    await events.waitUntilReady();
    const jobs = await queue.addBulk(Array.from({ length: 20 }, (_, n) => ({ name: 'job', data: n })));
    const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20000)));
    assert.deepEqual(results, jobs.map((_, n) => n + 1));
    await worker.close();
    await events.close();
    await queue.close();
    clients.forEach((one) => { if (one.isOpen) one.destroy(); });
  },
});
