import { describe, expect, it } from 'vitest';
import { Metrics } from '../../src/metrics/metrics.ts';
import { durations, Tally } from '../../src/tally.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { operator } from '../support/operator.ts';
import { manualClock } from '../support/store.ts';
import { json } from '../support/upstream.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** Values by series, as `name{label="value"}`. */
function seriesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

async function scrape(app: TestApp, secret: string): Promise<Map<string, number>> {
  const { status, headers, text } = await app.get('/metrics', bearer(secret));
  expect(status).toBe(200);
  expect(headers.get('content-type')).toContain('text/plain; version=0.0.4');
  return seriesOf(text);
}

describe('GET /metrics', () => {
  it('tells what happened, in figures that add up', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const boss = await operator(app);
    const { secret } = await app.key('1');
    app.upstream.next(json(500, {}));
    for (let at = 0; at < 4; at += 1) await app.chat(bearer(secret));
    await app.chat(bearer('ck_nobody'));
    await app.get('/nowhere');
    const now = await scrape(app, boss.secret);
    expect(now.get('farebox_requests_total{route="/v1/chat/completions",status="200"}')).toBe(3);
    expect(now.get('farebox_requests_total{route="/v1/chat/completions",status="502"}')).toBe(1);
    expect(now.get('farebox_requests_total{route="other",status="404"}')).toBe(1);
    expect(now.get('farebox_refusals_total{code="upstream_failed"}')).toBe(1);
    expect(now.get('farebox_refusals_total{code="invalid_credential"}')).toBe(1);
    expect(now.get('farebox_entries_total{kind="CHARGE"}')).toBe(3);
    expect(now.get('farebox_channel_attempts_total{channel="demo",outcome="good"}')).toBe(3);
    expect(now.get('farebox_channel_attempts_total{channel="demo",outcome="sick"}')).toBe(1);
    expect(now.get('farebox_channel_answer_seconds_count{channel="demo"}')).toBe(3);
    expect(now.get('farebox_channel_first_byte_seconds_count{channel="demo"}')).toBe(4);
    expect(now.get('farebox_request_seconds_count{route="/v1/chat/completions"}')).toBe(5);
    expect(now.get('farebox_channel_running{channel="demo"}')).toBe(0);
    expect(now.get('farebox_holds_open')).toBe(0);
    expect(now.get('farebox_info{mode="sandbox"}')).toBe(1);
    expect(now.get('farebox_event_loop_delay_seconds{quantile="1"}')).toBeGreaterThanOrEqual(0);
    const charged = now.get('farebox_entries_usd_total{kind="CHARGE"}')!;
    expect(now.get('farebox_balance_usd{kind="wallet"}')).toBeCloseTo(1 - charged, 12);
    expect(now.get('farebox_batch_operations_sum')).toBeGreaterThan(8);
    await app.check();
  });

  it('reads balances again only after a while', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const boss = await operator(app);
    await app.key('1');
    const balance = async () =>
      (await scrape(app, boss.secret)).get('farebox_balance_usd{kind="wallet"}');
    expect(await balance()).toBe(1);
    await app.key('2');
    expect(await balance()).toBe(1);
    clock.ms += 10_000;
    expect(await balance()).toBe(3);
  });

  it('is for operators alone', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1', 'ADMIN');
    expect((await app.get('/metrics')).status).toBe(401);
    expect((await app.get('/metrics', bearer(secret))).status).toBe(403);
  });

  it('has labels from closed lists only, whatever callers send', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { secret } = await app.key('1');
    const before = (await scrape(app, boss.secret)).size;
    for (let at = 0; at < 30; at += 1) {
      await app.get(`/nowhere/${at}`);
      await app.get(`/v1/models/m${at}`);
      await app.chat(bearer(secret), { model: `m${at}` });
      await app.chat(bearer(`ck_${at}`));
      await app.post(`/v1/chat/completions?n=${at}`, '{', bearer(secret));
    }
    const after = (await scrape(app, boss.secret)).size;
    // One route and a handful of statuses, codes and classes of durations more.
    expect(after - before).toBeLessThan(50);
  });
});

describe('a family', () => {
  const quiet = { error: () => {} };

  it('can be added by any part, and one that fails leaves the others', async () => {
    const said: string[] = [];
    const metrics = new Metrics({ error: (event) => void said.push(event) });
    metrics.add({
      name: 'farebox_tasks',
      help: 'Tasks by state.',
      kind: 'gauge',
      labels: ['state'],
      collect: () => Promise.resolve([{ labels: { state: 'pending' }, value: 2 }]),
    });
    metrics.add({
      name: 'farebox_broken',
      help: 'Broken.',
      kind: 'counter',
      collect: () => Promise.reject(new Error('no')),
    });
    expect(seriesOf(await metrics.text())).toEqual(
      new Map([['farebox_tasks{state="pending"}', 2]]),
    );
    expect(said).toEqual(['metric_failed']);
    expect(() =>
      metrics.add({ name: 'farebox_tasks', help: 'again', kind: 'gauge', collect: () => [] }),
    ).toThrow(/already/);
  });

  it('is bounded in its series', async () => {
    const metrics = new Metrics(quiet);
    const many = Array.from({ length: 6_000 }, (_, n) => ({ labels: { n: String(n) }, value: n }));
    metrics.add({ name: 'm', help: 'm', kind: 'gauge', labels: ['n'], collect: () => many });
    expect(seriesOf(await metrics.text()).size).toBe(5_000);
  });

  it('of a tally is a histogram whose classes are cumulative', async () => {
    const metrics = new Metrics(quiet);
    const tally = new Tally([10, 100]);
    for (const value of [5, 10, 11, 1_000]) tally.add(value);
    metrics.addTally({ name: 't_seconds', help: 't', scale: 0.001, collect: () => [{ tally }] });
    expect(Object.fromEntries(seriesOf(await metrics.text()))).toEqual({
      't_seconds_bucket{le="0.01"}': 2,
      't_seconds_bucket{le="0.1"}': 3,
      't_seconds_bucket{le="+Inf"}': 4,
      t_seconds_sum: 1.026,
      t_seconds_count: 4,
    });
  });
});

describe('a tally', () => {
  it('tells quantiles of the newest values', () => {
    const tally = durations();
    expect(tally.quantile(0.5)).toBeNull();
    for (let ms = 1; ms <= 100; ms += 1) tally.add(ms);
    expect([
      tally.quantile(0),
      tally.quantile(0.5),
      tally.quantile(0.95),
      tally.quantile(1),
    ]).toEqual([1, 50, 95, 100]);
    for (let at = 0; at < 512; at += 1) tally.add(7);
    expect(tally.quantile(1)).toBe(7);
    expect(tally.count).toBe(612);
  });
});
