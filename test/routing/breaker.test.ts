import { describe, expect, it } from 'vitest';
import { Breaker } from '../../src/routing/breaker.ts';
import { manualClock } from '../support/store.ts';

function broken() {
  const clock = manualClock();
  const breaker = new Breaker(clock);
  for (let at = 0; at < 5; at += 1) breaker.end('sick');
  return { clock, breaker };
}

describe('a breaker', () => {
  it('opens when half of at least five answers are sick, and not before', () => {
    const breaker = new Breaker(manualClock());
    for (let at = 0; at < 4; at += 1) breaker.end('sick');
    expect([breaker.state, breaker.waitMs()]).toEqual(['closed', 0]);
    breaker.end('sick');
    expect([breaker.state, breaker.waitMs()]).toEqual(['open', 15_000]);
    const healthy = new Breaker(manualClock());
    for (let at = 0; at < 100; at += 1) healthy.end(at % 3 === 0 ? 'sick' : 'good');
    expect(healthy.state).toBe('closed');
  });

  it('forgets what is a minute old', () => {
    const clock = manualClock();
    const breaker = new Breaker(clock);
    for (let at = 0; at < 4; at += 1) breaker.end('sick');
    clock.ms += 61_000;
    breaker.end('sick');
    expect(breaker.state).toBe('closed');
  });

  it('lets one request find out, and closes when that is good', () => {
    const { clock, breaker } = broken();
    clock.ms += 15_000;
    expect([breaker.state, breaker.waitMs()]).toEqual(['half-open', 0]);
    breaker.begin();
    expect(breaker.waitMs()).toBe(Infinity);
    breaker.end('good');
    expect([breaker.state, breaker.waitMs()]).toEqual(['closed', 0]);
    // It starts anew: old failures do not count again.
    breaker.end('sick');
    expect(breaker.state).toBe('closed');
  });

  it('opens for twice as long when that one is sick, five minutes at most', () => {
    const { clock, breaker } = broken();
    for (const wait of [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]) {
      clock.ms += breaker.waitMs();
      breaker.begin();
      breaker.end('sick');
      expect(breaker.waitMs()).toBe(wait);
    }
  });

  it('asks again when the one that was to find out tells nothing', () => {
    const { clock, breaker } = broken();
    clock.ms += 15_000;
    breaker.begin();
    breaker.end('unknown');
    expect([breaker.state, breaker.waitMs()]).toEqual(['half-open', 0]);
  });

  it('pauses for a 429 as long as that asks, and is not sick', () => {
    const clock = manualClock();
    const breaker = new Breaker(clock);
    for (let at = 0; at < 50; at += 1) breaker.end('busy', 7_000);
    expect([breaker.state, breaker.waitMs()]).toEqual(['closed', 7_000]);
    clock.ms += 7_000;
    expect(breaker.waitMs()).toBe(0);
    breaker.end('busy', 86_400_000);
    expect(breaker.waitMs()).toBe(300_000);
  });
});
