/** Hostile strings as they really come in: from callers, upstreams, receivers and the settings; on pages, in CSV, and in answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listOf, MODEL_ID, startApp, textOf } from '../../support/app.ts';
import {
  BAIT,
  expectNothingRuns,
  expectText,
  hasChromium,
  HOSTILE,
} from '../../support/hostile.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';
import { operator } from '../../support/operator.ts';
import { sendRaw } from '../../support/raw-http.ts';
import { type Receiver, startReceiver } from '../../support/receiver.ts';
import { type Site, site } from '../../support/site.ts';
import { USAGE, wholeBody } from '../../support/upstream.ts';

/** The first of them is what a spreadsheet begins to run. */
const FORMULA = ['=', '+', '-', '@', '\t=', '\r='].map((sign) => `${sign}HYPERLINK("http://e")`);
const CLIP = { model: 'seedance-2-fast', duration: 6, resolution: '720p' };
const HEADERS = {
  'user-agent': BAIT[0],
  'x-forwarded-for': BAIT[1],
  'x-forwarded-proto': 'http',
  'accept-language': BAIT[3],
  referer: BAIT[4],
};
/** Fields of the address that pages take. */
const FILTERS =
  'search kind state accountId payer taskId target actor action from to before notice name model'.split(
    ' ',
  );
const LISTS = ['accounts', 'keys', 'payments', 'payouts', 'tasks', 'webhooks', 'usage', 'log'];

describe('hostile strings from callers, upstreams and receivers (A-3)', () => {
  let app: MediaApp;
  let receiver: Receiver;
  let boss: Site;
  let bearer: { authorization: string };
  const shown: string[] = [];
  beforeAll(async () => {
    receiver = await startReceiver((response) => {
      response.writeHead(500, HOSTILE.replaceAll(/[^\x20-\x7e]/g, ''), { location: BAIT[4] });
      response.end(HOSTILE);
    });
    app = await startMediaApp({
      change: (config) => {
        const model = config.models.find(({ id }) => id === MODEL_ID)!;
        const [channel] = config.channels;
        BAIT.forEach((bait, n) => {
          config.channels.push({ ...channel!, id: bait });
          model.routes.push({ channel: bait, model: `${bait} ${n}` });
        });
        const media = config.channels.find(({ provider }) => provider === 'task-http')!;
        media.task = { ...media.task!, error: { message: ['/error'] } };
        FORMULA.forEach((id) => config.models.push({ ...model, id, aliases: [] }));
      },
    });
    app.clock.ms = Date.now();
    boss = await site(app);
    const { secret, accountId } = await app.key('9');
    bearer = { authorization: `Bearer ${secret}` };
    shown.push(`/admin/accounts/${accountId}`);
  }, 30_000);
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });

  it('of an upstream are not handed on in headers, and its errors are no page', async () => {
    await using shop = await startApp();
    const { upstream: chat } = shop;
    const key = { authorization: `Bearer ${(await shop.key('1')).secret}`, ...HEADERS };
    chat.usually((response) => {
      response.writeHead(500, {
        'content-type': 'text/html',
        'x-request-id': BAIT[1],
        'openai-organization': BAIT[0],
        'set-cookie': 'farebox_admin=upstream',
        location: BAIT[4],
        refresh: `0;url=${BAIT[4]}`,
      });
      response.end(`<html>${HOSTILE}</html>`);
    });
    const failed = await shop.chat(key);
    expect(failed.status).toBe(502);
    chat.usually((response) => {
      const body = JSON.stringify(wholeBody({ usage: USAGE })).replace('"stop"', '"stop\\u003c"');
      response.writeHead(200, { 'content-type': `text/html; x=1`, 'x-request-id': BAIT[0] });
      response.end(body);
    });
    const odd = await shop.chat(key);
    for (const { headers, text } of [failed, odd]) {
      expect(headers.get('content-type')).toMatch(/^application\/json/);
      expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-f]+$/);
      for (const name of ['set-cookie', 'location', 'refresh', 'openai-organization'])
        expect([name, headers.get(name)]).toEqual([name, null]);
      expect(text).not.toContain('hit=1');
    }
  });

  it('of tasks, their failures and their callbacks are text', async () => {
    for (const bait of BAIT) {
      app.studio.onLook = (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': bait });
        response.end(JSON.stringify({ state: 'failed', error: bait }));
      };
      const body = {
        ...CLIP,
        prompt: bait,
        callback_url: `${receiver.origin}/${encodeURIComponent(bait)}?q=${bait}`,
        metadata: { [bait]: bait },
      };
      const made = await app.post('/v1/videos', body, { ...bearer, ...HEADERS });
      if (made.status !== 200) continue;
      for (let turn = 0; turn < 8; turn += 1) await app.pass(5_000);
      const id = textOf(made.json['id']);
      const ended = await app.get(`/v1/tasks/${id}`, bearer);
      expect(ended.json).toMatchObject({ status: 'failed' });
      shown.push(`/admin/tasks/${id}`, `/admin/webhooks?taskId=${id}`);
    }
    await app.app.webhooks.deliverDue();
    expect(receiver.requests.length).toBeGreaterThan(3);
    expect(shown.length).toBeGreaterThan(8);
  });

  it('of payments and payouts are text', async () => {
    const wallet = await app.evm();
    const extra = { resource: { url: BAIT[4], description: HOSTILE, mimeType: BAIT[0] } };
    const paid = { ...HEADERS, 'payment-signature': await wallet.pay('5', 'v2', extra) };
    const top = await app.post('/x402/top-up', { memo: HOSTILE, description: HOSTILE }, paid);
    expect([200, 400]).toContain(top.status);
    const accountId = await app.app.store.accounts.walletAccount({ ...wallet, chain: '' });
    const { post } = await operator(app);
    const reason = HOSTILE.slice(0, 500);
    const path = `/accounts/${accountId}/payouts`;
    const made = await post(path, { amountUsd: '1', method: 'manual', reason });
    const id = textOf(made.json['id']);
    await post(`/payouts/${id}/sent`, { transaction: HOSTILE.slice(0, 100), reason });
    await post(`/payouts/${id}/cancel`, { reason });
    shown.push(`/admin/payouts/${id}`, `/admin/accounts/${accountId}`);
    const [payment] = listOf((await (await operator(app)).get('/payments')).json['data']);
    shown.push(`/admin/payments/${textOf(payment!['paymentId'] ?? payment!['id'])}`);
  });

  it('are text on every page, also where the address says them', async () => {
    for (const bait of BAIT) {
      await boss.send(`/admin/channels/${encodeURIComponent(bait)}`, { isOn: 'no', reason: bait });
      const query = new URLSearchParams(FILTERS.map((name): [string, string] => [name, bait]));
      for (const list of LISTS) shown.push(`/admin/${list}?${query}`);
    }
    shown.push('/admin', '/admin/channels', '/admin/models', '/admin/settings', '/admin/log');
    for (const path of shown) {
      const answer = await fetch(app.url + path, { headers: { ...HEADERS, cookie: boss.cookie } });
      // Not from here: what came over a proxy's headers is shown the tunnel.
      expect([path, answer.status]).toEqual([path, 403]);
      expectText(path, await answer.text());
      const seen = await fetch(app.url + path, { headers: { cookie: boss.cookie } });
      expect([200, 400]).toContain(seen.status);
      expectText(path, await seen.text());
    }
  });

  it('make no page of a path, a host or a method that is not there', async () => {
    const bait = encodeURIComponent(HOSTILE);
    for (const path of [
      `/admin/${bait}`,
      `/${bait}`,
      `/admin/tasks/${bait}`,
      `/v1/tasks/${bait}`,
    ]) {
      const answer = await fetch(app.url + path, { headers: { cookie: boss.cookie } });
      const text = await answer.text();
      if (answer.headers.get('content-type')?.startsWith('text/html')) expectText(path, text);
      else expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    }
    const raw = `GET /admin/login HTTP/1.1\r\nHost: ${BAIT[0]}\r\nConnection: close\r\n\r\n`;
    const { body } = await sendRaw(app.port, raw, { untilClosed: true });
    expect(body).not.toContain('<script>window');
  });

  it.skipIf(!hasChromium)(
    'run nothing in a real browser',
    () => expectNothingRuns(app, boss, shown.slice(0, 40).concat(shown.slice(-6))),
    90_000,
  );

  it('begin no formula in a CSV', async () => {
    await app.app.store.ledger.write(({ db }) =>
      db
        .insertInto('channel_days')
        .values(
          [...FORMULA, ...BAIT].map((model) => ({
            channel_id: 'demo',
            day: Math.floor(Date.now() / 86_400_000),
            model,
            requests: 1,
            revenue: 5,
            upstream: 9,
            uncosted: 0,
          })),
        )
        .execute(),
    );
    const answer = await fetch(`${app.url}/admin/usage.csv`, { headers: { cookie: boss.cookie } });
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment/);
    const text = await answer.text();
    for (const formula of FORMULA) expect(text).toContain(`'${formula.replaceAll('"', '""')}`);
    const cells = Array.from(
      text.matchAll(/"((?:[^"]|"")*)"|[^,\r\n]+/g),
      ([all, quoted]) => quoted ?? all,
    );
    expect(cells.length).toBeGreaterThan(6 * FORMULA.length);
    for (const cell of cells) {
      if (!/^-?\d+(\.\d+)?$/.test(cell)) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
    }
  });
});
