import { describe, expect, it } from 'vitest';
import type { ChannelConfig, TokenModel } from '../../src/config/config.ts';
import { parseRequest } from '../../src/chat/request.ts';
import { Routing } from '../../src/routing/routing.ts';
import { channel as channelAt, MODEL } from '../support/chat.ts';
import { seeded } from '../support/seeded.ts';
import { manualClock } from '../support/store.ts';

const LONG = 'You are a careful assistant. '.repeat(200);
const STICKY_MS = 300_000;

function chat(system: string, user: string, more: object = {}) {
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ];
  return parseRequest(Buffer.from(JSON.stringify({ model: 'm1', messages, ...more }))).request;
}

function start(settings: Partial<ChannelConfig>[] = [{}, {}, {}], stickyMs = STICKY_MS) {
  const clock = manualClock();
  const busy = new Set<string>();
  const channels = settings.map((more, n) =>
    channelAt('http://127.0.0.1:9', { id: `c${n}`, ...more }),
  );
  const model: TokenModel = {
    ...MODEL,
    routes: channels.map(({ id }) => ({ channel: id, model: 'up-1' })),
  };
  const routing = new Routing(channels, {
    clock,
    stickyMs,
    random: seeded(3),
    isBusy: ({ id }) => busy.has(id),
  });
  /** The channels of a request in their order; the first one serves it. */
  const serve = (account: string, request: ReturnType<typeof chat>): string[] => {
    const key = routing.sticky.keyOf(account, 'm1', request);
    const routes = routing.sticky.prefer(routing.candidates(model, ['default']), key);
    if (key !== null) routing.sticky.served(key, routes[0]!.channel.id);
    return routes.map(({ channel }) => channel.id);
  };
  return { clock, busy, routing, model, serve };
}

const firsts = (count: number, serve: (n: number) => string[]) =>
  new Set(Array.from({ length: count }, (_, n) => serve(n)[0]!));

describe('requests of one long beginning', () => {
  it('keep to one channel, and each still has all the others to fall back on', () => {
    const { serve } = start();
    const order = serve('a', chat(LONG, 'q'));
    expect(firsts(50, (n) => serve('a', chat(LONG, `question ${n}`)))).toEqual(new Set([order[0]]));
    expect(serve('a', chat(LONG, 'last')).toSorted()).toEqual(['c0', 'c1', 'c2']);
  });

  it('are apart by account, by beginning and by the key that the caller gives', () => {
    const { serve } = start();
    expect(firsts(30, (n) => serve(`account ${n}`, chat(LONG, 'q'))).size).toBe(3);
    expect(firsts(30, (n) => serve('a', chat(`${n} ${LONG}`, 'q'))).size).toBe(3);
    const keyed = (n: number) => serve('a', chat(LONG, 'q', { prompt_cache_key: `k${n}` }));
    expect(firsts(30, keyed).size).toBe(3);
  });

  it('are shared out by weight where they are too short for any cache', () => {
    const { serve } = start();
    expect(firsts(30, () => serve('a', chat('Be brief.', 'q'))).size).toBe(3);
  });

  it('are let go when the cache is cold, and when it is turned off', () => {
    const { serve, clock } = start();
    const again = () => {
      clock.ms += STICKY_MS;
      return serve('a', chat(LONG, 'q'));
    };
    expect(firsts(30, again).size).toBe(3);
    const off = start([{}, {}, {}], 0);
    expect(firsts(30, () => off.serve('a', chat(LONG, 'q'))).size).toBe(3);
  });

  it('never insist: not on a sick channel, not on a busy one, not against a better one', () => {
    const { serve, routing, model, busy } = start();
    const [first] = serve('a', chat(LONG, 'q'));
    busy.add(first!);
    const second = serve('a', chat(LONG, 'q'))[0]!;
    expect(second).not.toBe(first);
    busy.clear();
    const route = routing.candidates(model, ['default']).find((r) => r.channel.id === second)!;
    for (let at = 0; at < 5; at += 1) route.breaker.end('sick');
    expect(serve('a', chat(LONG, 'q'))).not.toContain(second);

    const levels = start([{ priority: 1 }, { priority: 0 }]);
    const [best] = levels.routing.candidates(levels.model, ['default']);
    for (let at = 0; at < 5; at += 1) best.breaker.end('sick');
    expect(levels.serve('a', chat(LONG, 'q'))).toEqual(['c1']);
    levels.clock.ms += 15_000;
    expect(levels.serve('a', chat(LONG, 'q'))).toEqual(['c0', 'c1']);
  });

  it('are remembered up to a bound', () => {
    const { serve, routing } = start();
    const request = chat(LONG, 'q');
    const [first] = serve('a', request);
    const key = routing.sticky.keyOf('a', 'm1', request)!;
    for (let n = 0; n < 10_000; n += 1) routing.sticky.served(`other ${n}`, 'c0');
    const routes = start().routing.candidates(start().model, ['default']);
    const worst = routes.toReversed();
    expect(first).toBeDefined();
    expect(routing.sticky.prefer(worst, key)).toBe(worst);
    expect(routing.sticky.prefer(worst, 'other 9999')[0]!.channel.id).toBe('c0');
  });
});
