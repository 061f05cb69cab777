import { describe, expect, it } from 'vitest';
import { nanoUsd } from '../../src/money.ts';
import { CostDrift } from '../../src/routing/drift.ts';
import { manualClock } from '../support/store.ts';

function start() {
  const clock = manualClock();
  const said: object[] = [];
  const log = { warn: (event: string, fields?: object) => void said.push({ event, ...fields }) };
  const drift = new CostDrift({ clock, log });
  const add = (listed: number, reported: number, times = 1, model = 'm1') => {
    for (let at = 0; at < times; at += 1) {
      const outlay = { listed: nanoUsd(listed), reported: nanoUsd(reported) };
      drift.add('c0', model, { ...outlay, nano: outlay.reported });
    }
  };
  return { clock, said, drift, add };
}

describe('costs that drift', () => {
  it('are said once they are more than a twentieth off over ten requests, once an hour', () => {
    const { clock, said, drift, add } = start();
    add(1_000, 1_060, 9);
    expect(said).toEqual([]);
    add(1_000, 1_060);
    expect(said).toEqual([{ event: 'cost_drift', channel: 'c0', model: 'm1', percent: 6 }]);
    add(1_000, 1_060, 50);
    expect(said).toHaveLength(1);
    clock.ms += 3_600_000;
    add(1_000, 1_060);
    expect(said).toHaveLength(2);
    expect(drift.worst().get('c0')).toBeCloseTo(0.06);
  });

  it('are no matter within a twentieth, in either direction, nor where one side is silent', () => {
    const { said, drift, add } = start();
    add(1_000, 1_049, 30);
    add(1_000, 951, 30, 'm2');
    for (let at = 0; at < 30; at += 1) {
      drift.add('c1', 'm1', { nano: null, listed: nanoUsd(5), reported: null });
      drift.add('c1', 'm1', { nano: nanoUsd(5), listed: null, reported: nanoUsd(5) });
    }
    expect(said).toEqual([]);
    expect(drift.worst().get('c1')).toBeUndefined();
  });

  it('are told of the model that is off the most, also where it should cost nothing', () => {
    const { said, drift, add } = start();
    add(1_000, 500, 10, 'cheap');
    add(1_000, 1_100, 10, 'dear');
    expect(drift.worst().get('c0')).toBe(-0.5);
    add(0, 100, 10, 'free');
    expect(drift.worst().get('c0')).toBe(1);
    expect(said).toHaveLength(3);
    drift.clear();
    expect(drift.worst().size).toBe(0);
  });

  it('follow the prices of today: what is long past weighs little', () => {
    const { said, drift, add } = start();
    add(1_000, 1_000, 5_000);
    add(1_000, 1_300, 500);
    expect(drift.worst().get('c0')!).toBeGreaterThan(0.1);
    expect(said).toHaveLength(1);
  });
});
