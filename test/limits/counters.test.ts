import { describe, expect, it } from 'vitest';
import { MemoryCounters } from '../../src/limits/counters.ts';
import { Floods, networkOf } from '../../src/limits/floods.ts';
import { Hits } from '../../src/limits/hits.ts';
import { manualClock } from '../support/store.ts';

const wallet = (accountId: string) => ({
  kind: 'wallet' as const,
  role: 'wallet' as const,
  accountId,
  wallet: { family: 'eip155' as const, address: '0x1', chain: '' },
});

describe('counters', () => {
  it('end when their time is over, not before', async () => {
    const clock = manualClock();
    const counters = new MemoryCounters({ clock, seconds: 60, most: 10 });
    expect((await counters.penalty('a', 3)).consumedPoints).toBe(3);
    clock.ms += 59_999;
    const last = await counters.penalty('a', 2);
    expect([last.consumedPoints, last.msBeforeNext]).toEqual([5, 1]);
    clock.ms += 1;
    expect(await counters.get('a')).toBeNull();
    expect((await counters.reward('a', 5)).consumedPoints).toBe(0);
    expect((await counters.penalty('a', 1)).consumedPoints).toBe(1);
  });

  it('stay within their bound whatever comes, and forget the oldest first (H-11)', async () => {
    const clock = manualClock();
    const counters = new MemoryCounters({ clock, seconds: 60, most: 1_000 });
    for (let n = 0; n < 100_000; n += 1) {
      await counters.penalty(`${n}`);
      expect(counters.size <= 1_000).toBe(true);
    }
    expect(await counters.get('98999')).toBeNull();
    expect((await counters.get('99000'))?.consumedPoints).toBe(1);
  });

  it('make room of what has ended before it is needed', async () => {
    const clock = manualClock();
    const counters = new MemoryCounters({ clock, seconds: 60, most: 1_000_000 });
    for (let n = 0; n < 1_000; n += 1) await counters.penalty(`old ${n}`);
    clock.ms += 60_000;
    for (let n = 0; n < 300; n += 1) await counters.penalty(`new ${n}`);
    expect(counters.size).toBe(300);
  });
});

describe('floods', () => {
  it('are counted by IPv4 address and by /64 of IPv6', () => {
    expect(networkOf('203.0.113.7')).toBe('203.0.113.7');
    const same = ['2001:db8:0:1::1', '2001:0db8:0000:0001:ffff::2', '2001:db8:0:1:2:3:4:5'];
    expect(new Set(same.map(networkOf))).toEqual(new Set(['2001:db8:0:1::/64']));
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
  });

  it('from 100,000 addresses do not stop the limits of one more (H-11)', async () => {
    const clock = manualClock();
    const config = { unauthorizedPerMinute: 2, paymentRequiredPerMinute: 2 };
    const floods = new Floods({ config, clock });
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 100_000; n += 1) {
      await floods.count('unauthorized', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
    const answers = [];
    for (let n = 0; n < 3; n += 1) answers.push(await floods.count('unauthorized', '2001:db8::1'));
    expect(answers.map((error) => error?.code ?? null)).toEqual([null, null, 'rate_limited']);
    await expect(floods.require('unauthorized', '2001:db8::2')).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 60,
    });
    await floods.require('paymentRequired', '2001:db8::2');
  });
});

describe('the log of hits', () => {
  it('keeps the last 50 of an account, newest first, of so many accounts', () => {
    const clock = manualClock();
    const hits = new Hits(clock);
    for (let n = 0; n < 60; n += 1) hits.add(wallet('acc'), `m${n}`, 'RPM');
    expect(hits.list('acc', null).map(({ model }) => model)).toEqual(
      Array.from({ length: 50 }, (_, n) => `m${59 - n}`),
    );
    for (let n = 0; n < 2_000; n += 1) hits.add(wallet(`acc${n}`), 'm', 'RPM');
    expect(hits.list('acc', null)).toEqual([]);
    expect(hits.list('acc1999', null)).toHaveLength(1);
  });
});
