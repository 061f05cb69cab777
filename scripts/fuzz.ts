/**
 * The long form of two tests: random histories of the ledger against a model, and rounds of two keys that overspend at once.
 *
 *   npm run fuzz                                       200,000 operations, then 1,000 rounds of 200 calls
 *   npm run fuzz -- --operations 50000 --rounds 100
 *   npm run fuzz -- --operations 1 --rounds 0 --seed 4711   one history again
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

const MOST_OPERATIONS = 10_000_000;
const MOST_ROUNDS = 100_000;
const root = new URL('..', import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '1000' },
    seed: { type: 'string' },
  },
});
const operations = count('operations', values.operations, MOST_OPERATIONS);
const rounds = count('rounds', values.rounds, MOST_ROUNDS);
const seed = values.seed === undefined ? {} : { LEDGER_MODEL_SEED: values.seed };

const codes: number[] = [];
if (operations) {
  const wanted = { LEDGER_MODEL_OPERATIONS: `${operations}`, ...seed };
  codes.push(await run('test/ledger/model.test.ts', wanted));
}
if (rounds) codes.push(await run('test/keys/caps.test.ts', { CAPS_ROUNDS: `${rounds}` }));
process.exitCode = codes.some((code) => code !== 0) ? 1 : 0;

function count(name: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= most) return number;
  throw new Error(`--${name} must be a whole number from 0 to ${most}`);
}

function run(test: string, env: Record<string, string>): Promise<number> {
  const vitest = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
  const child = spawn(process.execPath, [vitest, 'run', '--maxWorkers=1', test], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
