import { describe, expect, it } from 'vitest';
import { InFlight, within } from '../../src/payments/in-flight.ts';

/** Work that ends when it is told to. */
function work() {
  const gate = Promise.withResolvers<string>();
  let starts = 0;
  const run = () => {
    starts += 1;
    return gate.promise;
  };
  return { run, end: gate.resolve, fail: gate.reject, starts: () => starts };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('settlements under way', () => {
  it('of one payer wait for one another, of several do not', async () => {
    const inFlight = new InFlight<string>();
    const [first, second, other] = [work(), work(), work()];
    const ends = [
      inFlight.run('a', 'alice', first.run),
      inFlight.run('b', 'alice', second.run),
      inFlight.run('c', 'bob', other.run),
    ];
    await turn();
    expect([first.starts(), second.starts(), other.starts()]).toEqual([1, 0, 1]);
    first.fail(new Error('no'));
    await expect(ends[0]).rejects.toThrow('no');
    await turn();
    expect(second.starts()).toBe(1);
    second.end('second');
    other.end('other');
    expect([await ends[1], await ends[2]]).toEqual(['second', 'other']);
  });

  it('are found by payment until they end, well or not', async () => {
    const inFlight = new InFlight<string>();
    const one = work();
    const running = inFlight.run('a', 'alice', one.run);
    expect(inFlight.get('a')).toBe(running);
    one.fail(new Error('no'));
    await running?.catch(() => {});
    await turn();
    expect(inFlight.get('a')).toBeNull();
  });

  it('are bounded for a payer and in all, and have room again when they end', async () => {
    const inFlight = new InFlight<string>();
    const one = work();
    const start = (id: number, payer: string) => inFlight.run(`${id}`, payer, one.run);
    const mine = Array.from({ length: 40 }, (_, n) => start(n, 'alice'));
    expect(mine.filter((it) => it !== null)).toHaveLength(16);
    const all = Array.from({ length: 1_100 }, (_, n) => start(100 + n, `payer ${n}`));
    expect(all.filter((it) => it !== null)).toHaveLength(1_000 - 16);
    one.end('done');
    await Promise.all([...mine, ...all]);
    await turn();
    expect(start(5_000, 'alice')).not.toBeNull();
  });

  it('are waited for, but not for ever', async () => {
    const inFlight = new InFlight<string>();
    const one = work();
    const running = inFlight.run('a', 'alice', one.run);
    await inFlight.idle(5);
    expect(inFlight.get('a')).not.toBeNull();
    expect(await within(running!, 5)).toBeNull();
    setTimeout(() => one.end('done'), 5);
    expect(await within(running!, 10_000)).toBe('done');
    await inFlight.idle(10_000);
  });
});
