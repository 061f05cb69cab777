import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { play } from './model/run.ts';
import { shrink } from './model/shrink.ts';
import { type History, history } from './model/steps.ts';

/** `npm run fuzz` does more of them. */
const OPERATIONS = Number(process.env['LEDGER_MODEL_OPERATIONS'] ?? 10_000);
const SEED = Number(process.env['LEDGER_MODEL_SEED'] ?? Date.now() % 1_000_000);
const SHRINK_MS = Number(process.env['LEDGER_MODEL_SHRINK_MS'] ?? 60_000);
const MAX_SHOWN = 4_000;

async function explain(one: History, error: unknown, seed: number): Promise<never> {
  const isWrong = (tries: History) =>
    play(tries).then(
      () => false,
      () => true,
    );
  const small = await shrink(one, isWrong, performance.now() + SHRINK_MS);
  const shown = JSON.stringify(small).slice(0, MAX_SHOWN);
  throw new Error(`LEDGER_MODEL_SEED=${seed} fails, also as ${shown}`, { cause: error });
}

describe('ledger against a model', () => {
  it(
    `answers ${OPERATIONS} random operations as plain arithmetic does, verified after each batch`,
    { timeout: 60_000 + OPERATIONS * 20 + SHRINK_MS },
    async () => {
      let operations = 0;
      let seed = SEED;
      for (; operations < OPERATIONS; seed += 1) {
        const [one] = fc.sample(history, { seed, numRuns: 1 });
        operations += await play(one!).catch((error: unknown) => explain(one!, error, seed));
      }
      expect(operations).toBeGreaterThanOrEqual(OPERATIONS);
      console.log(`${operations} operations, ${seed - SEED} histories from seed ${SEED}`);
    },
  );
});
