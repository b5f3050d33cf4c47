// A worker that takes jobs and never finishes one: `bullmq.mjs` kills it.

import { Worker } from 'bullmq';
import { connection } from './support.mjs';

new Worker(process.argv[3], () => new Promise(() => setInterval(() => {}, 1000)), {
  connection, concurrency: 3, lockDuration: 1000, lockRenewTime: 300, stalledInterval: 300,
});
