// BullMQ with many jobs: has them processed by several workers, every job exactly once. With --rate it
// takes 10,000 and prints what that made of jobs per second: added, processed, and both at once.

import assert from 'node:assert/strict';
import { Queue, Worker } from 'bullmq';
import { connection, has, run, until } from './support.mjs';

const JOBS = has('--rate') ? 10_000 : 2_000;
const WORKERS = 4;
const CONCURRENCY = 25;

async function timed(body) {
  const start = performance.now();
  await body();
  return JOBS / ((performance.now() - start) / 1000);
}

/** Jobs one by one, 250 on their way at a time, as a service adds them. */
async function addSingly(queue) {
  let n = 0;
  const adder = async () => {
    while (n < JOBS) {
      const data = { n: n++, text: 'a payload of some length, as a job has it' };
      await queue.add('job', data);
    }
  };
  await Promise.all(Array.from({ length: 250 }, adder));
}

async function addInBulk(queue) {
  for (let from = 0; from < JOBS; from += 1000) {
    await queue.addBulk(Array.from({ length: 1000 }, (_, n) => ({ name: 'job', data: { n: from + n } })));
  }
}

/** Workers that note each job, and a promise of their having seen all of them once. */
function startWorkers(name) {
  const seen = new Uint8Array(JOBS);
  let count = 0;
  let finished;
  const all = new Promise((resolve) => { finished = resolve; });
  const workers = Array.from({ length: WORKERS }, () => {
    const worker = new Worker(name, async (job) => { seen[job.data.n] += 1; return job.data.n; },
      { connection, concurrency: CONCURRENCY });
    worker.on('completed', () => { count += 1; if (count === JOBS) finished(); });
    worker.on('error', (error) => console.log(`worker: ${error.message}`));
    return worker;
  });
  const close = () => Promise.all(workers.map((worker) => worker.close()));
  return { all, close, once: () => seen.every((times) => times === 1) };
}

async function ended(queue, workers) {
  await until('nothing left', async () => {
    const counts = await queue.getJobCounts('active', 'waiting', 'completed', 'failed');
    return counts.active === 0 && counts.waiting === 0 && counts.completed === JOBS && counts.failed === 0;
  });
  assert(workers.once(), 'a job was processed twice or never');
  await workers.close();
  await queue.obliterate({ force: true });
  await queue.close();
}

const rates = {};
await run({
  'added, then processed': async () => {
    const queue = new Queue('many', { connection });
    await queue.waitUntilReady();
    rates.added = await timed(() => addSingly(queue));
    assert.equal(await queue.getWaitingCount(), JOBS);
    const workers = startWorkers('many');
    rates.processed = await timed(() => workers.all);
    await ended(queue, workers);
  },
  'added in bulk while they are processed': async () => {
    const queue = new Queue('both', { connection });
    await queue.waitUntilReady();
    const workers = startWorkers('both');
    rates.both = await timed(async () => { await addInBulk(queue); await workers.all; });
    await ended(queue, workers);
  },
  ...(has('--rate') && {
    rates: () => {
      for (const [name, rate] of Object.entries(rates)) console.log(`rate ${name} ${Math.round(rate)}`);
    },
  }),
});
