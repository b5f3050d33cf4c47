// What the programs beside this file share: the port they are given, waiting for a condition, and the
// running of named cases one after the other.

import assert from 'node:assert/strict';

/** The server's port: the program's first argument. */
export const port = Number(process.argv[2]);
assert(port > 0, 'usage: node PROGRAM PORT [option ...]');

/** Connection options as ioredis and BullMQ take them. */
export const connection = { host: '127.0.0.1', port };

export const has = (option) => process.argv.includes(option);

/** With `--only WORDS`, only cases whose name has these words run. */
const only = has('--only') ? process.argv[process.argv.indexOf('--only') + 1] : '';

/** Waits until `probe` gives something true, and gives it; fails after `seconds`. */
export async function until(what, probe, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited ${seconds} seconds in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves with the arguments of the next `event`, or of the next that `pick` accepts. */
export function next(emitter, event, pick = () => true) {
  return new Promise((resolve) => {
    const listener = (...args) => {
      if (!pick(...args)) return;
      emitter.off(event, listener);
      resolve(args);
    };
    emitter.on(event, listener);
  });
}

/**
 * Runs the cases in order, all of them, and ends the process: with 1 when one failed. A case that never
 * ends is ended by whoever started the program.
 */
export async function run(cases) {
  let failed = 0;
  for (const [name, body] of Object.entries(cases)) {
    if (!name.includes(only)) continue;
    const start = Date.now();
    try {
      await body();
      console.log(`ok      ${name} (${Date.now() - start} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name} (${Date.now() - start} ms)\n${error?.stack ?? error}`);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}

// What fails outside of a case fails the program too.
process.on('unhandledRejection', (error) => {
  console.log(`FAILED  unhandled: ${error?.stack ?? error}`);
  process.exit(1);
});
