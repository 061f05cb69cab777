import { describe, expect, it } from 'vitest';
import type { ChannelConfig, ModelConfig } from '../../src/config/config.ts';
import { Routing } from '../../src/routing/routing.ts';
import { channel as channelAt, MODEL } from '../support/chat.ts';
import { seeded } from '../support/seeded.ts';
import { manualClock } from '../support/store.ts';

const channel = (id: string, more: Partial<ChannelConfig> = {}) =>
  channelAt(`http://127.0.0.1:9/${id}`, { id, ...more });

const model = (...ids: string[]): ModelConfig => ({
  ...MODEL,
  routes: ids.map((id) => ({ channel: id, model: `up-${id}` })),
});

function routingOf(channels: ChannelConfig[], random = seeded()) {
  const clock = manualClock();
  return { clock, routing: new Routing(channels, { clock, random }) };
}

const ids = (routes: readonly { channel: ChannelConfig }[]) =>
  routes.map((route) => route.channel.id);

describe('candidates', () => {
  it('come in the order of their priorities, each once', () => {
    const { routing } = routingOf([
      channel('low', { priority: -1 }),
      channel('high', { priority: 5 }),
      channel('middle'),
    ]);
    for (let at = 0; at < 20; at += 1) {
      const found = routing.candidates(model('low', 'high', 'middle'), ['default']);
      expect(ids(found)).toEqual(['high', 'middle', 'low']);
    }
  });

  it('share a level by their weights: 1 to 3 over 4,000 requests', () => {
    const channels = [channel('one', { weight: 1 }), channel('three', { weight: 3 })];
    const count = (random: () => number) => {
      const { routing } = routingOf(channels, random);
      const first = { one: 0, three: 0 };
      for (let at = 0; at < 4_000; at += 1) {
        const [route] = routing.candidates(model('one', 'three'), ['default']);
        first[route.channel.id as 'one'] += 1;
      }
      return first;
    };
    // The same seed gives the very same split; one ticket a quarter gives the exact share.
    expect(count(seeded(7))).toEqual(count(seeded(7)));
    let ticket = 0;
    expect(count(() => (ticket++ % 4) / 4)).toEqual({ one: 1_000, three: 3_000 });
    const { one } = count(seeded(42));
    expect(Math.abs(one - 1_000)).toBeLessThan(90);
  });

  it('keep a weight of 0 for when nothing else is left in its level', () => {
    const { routing } = routingOf([channel('none', { weight: 0 }), channel('some')]);
    for (let at = 0; at < 100; at += 1) {
      const found = routing.candidates(model('none', 'some'), ['default']);
      expect(ids(found)).toEqual(['some', 'none']);
    }
  });

  it('are those of the groups asked for, group by group', () => {
    const { routing } = routingOf([
      channel('a', { group: 'vip', priority: -9 }),
      channel('b', { priority: 9 }),
      channel('c', { group: 'other' }),
    ]);
    const all = model('a', 'b', 'c');
    expect(ids(routing.candidates(all, ['vip', 'default']))).toEqual(['a', 'b']);
    expect(ids(routing.candidates(all, ['default']))).toEqual(['b']);
    expect(() => routing.candidates(all, ['none'])).toThrow(/No channel/);
    expect(() => routing.candidates(model('gone'), ['default'])).toThrow(/No channel/);
  });

  it('leave out whoever is not fit, and say when one will be', () => {
    const { routing, clock } = routingOf([channel('a', { priority: 1 }), channel('b')]);
    const both = model('a', 'b');
    const [a, b] = routing.candidates(both, ['default']);
    for (let at = 0; at < 5; at += 1) a.breaker.end('sick');
    expect(ids(routing.candidates(both, ['default']))).toEqual(['b']);
    b!.breaker.end('busy', 3_000);
    expect(() => routing.candidates(both, ['default'])).toThrow(
      expect.objectContaining({ code: 'no_channel', retryAfterSeconds: 3 }),
    );
    expect(routing.health()).toEqual([
      { channel: 'a', model: 'm1', state: 'open' },
      { channel: 'b', model: 'm1', state: 'closed' },
    ]);
    clock.ms += 15_000;
    const [probe] = routing.candidates(both, ['default']);
    expect(probe.channel.id).toBe('a');
    probe.breaker.begin();
    expect(ids(routing.candidates(both, ['default']))).toEqual(['b']);
    probe.breaker.end('good');
    expect(ids(routing.candidates(both, ['default']))).toEqual(['a', 'b']);
  });

  it('keep their health over a reload, but for those that lead elsewhere', () => {
    const { routing } = routingOf([channel('a'), channel('b')]);
    for (const route of routing.candidates(model('a', 'b'), ['default'])) {
      for (let at = 0; at < 5; at += 1) route.breaker.end('sick');
    }
    const moved = { ...channel('b'), baseUrl: 'http://127.0.0.1:10' };
    routing.replace([channel('a', { weight: 2 }), moved]);
    expect(ids(routing.candidates(model('a', 'b'), ['default']))).toEqual(['b']);
  });
});
