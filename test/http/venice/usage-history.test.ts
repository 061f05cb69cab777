import { describe, expect, it } from 'vitest';
import { reserveRequest, manualClock } from '../../support/store.ts';
import { csv } from '../../../src/http/csv.ts';
import { nanoUsd } from '../../../src/money.ts';
import { type Json, listOf, MODEL_ID, startApp, type TestApp, textOf } from '../../support/app.ts';
import { bearer, charges, chat, customer, nano, signedChat } from '../../support/billing.ts';
import { documentedApi } from '../../support/openapi.ts';

const PATH = '/api/v1/billing/usage-history';
const venice = documentedApi('venice/billing.yaml');
const START = Date.UTC(2026, 1, 27, 23, 59, 50);

/** Charges straight from the ledger, one a second; `cost` goes up from 1 nano-dollar. */
async function charge(app: TestApp, accountId: string, clock: { ms: number }, count: number) {
  const { ledger } = app.app.store;
  for (let at = 0; at < count; at += 1) {
    clock.ms += 1_000;
    const requestId = `req_${clock.ms}`;
    const hold = await ledger.reserve(reserveRequest(accountId, 50_000, { requestId }));
    await ledger.capture(hold, nanoUsd(1 + (clock.ms % 40_000)), null);
  }
}

const idsOf = (rows: Json[]) => rows.map((row) => textOf(row['inferenceDetails']?.['requestId']));

async function page(app: TestApp, query: string, headers: Record<string, string>) {
  const { status, json } = await app.get(`${PATH}?${query}`, headers);
  expect([query, status, json['error']]).toEqual([query, 200, undefined]);
  venice.expectAnswer('get', '/billing/usage-history', 200, json);
  const cursor = json['nextCursor'] as unknown as string | null;
  return { rows: listOf(json['data']), cursor };
}

/** Every page; `between` runs before each but the first. */
async function walk(
  app: TestApp,
  query: string,
  headers: Record<string, string>,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Json[][]> {
  const pages: Json[][] = [];
  let next = await page(app, query, headers);
  pages.push(next.rows);
  while (next.cursor !== null) {
    await between();
    next = await page(app, `cursor=${next.cursor}`, headers);
    pages.push(next.rows);
  }
  return pages;
}

describe('/api/v1/billing/usage-history', () => {
  it('lists what keys and the wallet were charged, as Venice has it, exact to the ledger', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await customer(app);
    const usage = { prompt_tokens: 339, completion_tokens: 227 };
    const answer = await chat(app, bearer(owner.parent.secret), usage);
    clock.ms += 20_000;
    await signedChat(app, owner.wallet);
    const { rows, cursor } = await page(app, '', bearer(owner.admin.secret));
    expect(cursor).toBeNull();
    const [first, second] = await charges(app, owner.accountId);
    expect(rows.map(({ amount }) => nano(amount))).toEqual([-first!.amount, -second!.amount]);
    expect(rows[0]).toEqual({
      amount: -Number(answer.headers.get('x-request-cost')),
      currency: 'USD',
      inferenceDetails: {
        requestId: answer.headers.get('x-request-id'),
        promptTokens: 339,
        completionTokens: 227,
        inferenceExecutionTime: 0,
      },
      notes: 'API Inference',
      pricePerUnitUsd: Number(answer.headers.get('x-request-cost')),
      sku: `${MODEL_ID}-llm-request`,
      timestamp: '2026-02-27T23:59:50.000Z',
      units: 1,
    });
    expect(rows[1]!['timestamp']).toBe('2026-02-28T00:00:10.000Z');
    for (const currency of ['DIEM', 'BUNDLED_CREDITS']) {
      expect((await page(app, `currency=${currency}`, bearer(owner.admin.secret))).rows).toEqual(
        [],
      );
    }
    const nobody = await app.evm();
    expect(await page(app, '', { 'sign-in-with-x': await nobody.signIn() })).toEqual({
      rows: [],
      cursor: null,
    });
    await app.check();
  });

  it('walks every entry once, in order, while others are added', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await customer(app);
    const noise = await customer(app);
    await charge(app, owner.accountId, clock, 37);
    let left = 3;
    const more = () => (left-- > 0 ? 7 : 0);
    const pages = await walk(app, 'pageSize=10&currency=USD', bearer(owner.admin.secret), () =>
      Promise.all([
        charge(app, owner.accountId, clock, more()),
        charge(app, noise.accountId, clock, 3),
      ]),
    );
    const all = await charges(app, owner.accountId);
    expect(all).toHaveLength(37 + 3 * 7);
    expect(idsOf(pages.flat())).toEqual(all.map((row) => row.request_id));
    expect(pages.flat().map(({ amount }) => nano(amount))).toEqual(
      all.map(({ amount }) => -amount),
    );
    expect(pages.map((rows) => rows.length)).toEqual([10, 10, 10, 10, 10, 8]);
    await app.check();
  });

  it('cuts windows that share a boundary without gaps or overlaps', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await customer(app);
    const admin = bearer(owner.admin.secret);
    await charge(app, owner.accountId, clock, 40);
    const all = (await charges(app, owner.accountId)).map((row) => row.request_id);
    const iso = (ms: number) => new Date(ms).toISOString();
    for (const boundary of [START + 1_000, START + 10_000, START + 25_500, START + 40_000]) {
      const before = await walk(app, `pageSize=10&endTimestamp=${iso(boundary)}`, admin);
      const after = await walk(app, `pageSize=10&startTimestamp=${iso(boundary)}`, admin);
      expect(idsOf([...before.flat(), ...after.flat()])).toEqual(all);
      expect(before.flat().every(({ timestamp }) => textOf(timestamp) < iso(boundary))).toBe(true);
    }
    const ends = `startTimestamp=${iso(START + 3_000)}&endTimestamp=${iso(START + 28_000)}`;
    const inside = await walk(app, `${ends}&pageSize=10`, admin, () =>
      charge(app, owner.accountId, clock, 5),
    );
    expect(idsOf(inside.flat())).toEqual(all.slice(2, 27));
    const later = await walk(app, `startTimestamp=${iso(clock.ms + 1)}`, admin);
    expect(later).toEqual([[]]);
  });

  it('refuses a cursor that was changed, is somebody else’s, is old, or has company', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await customer(app);
    const other = await customer(app);
    const admin = bearer(owner.admin.secret);
    await charge(app, owner.accountId, clock, 25);
    const { cursor } = await page(app, 'pageSize=10', admin);
    expect(cursor).toMatch(/^[A-Za-z0-9_-]{1,512}$/);
    const text = cursor!;
    const changed = text.slice(0, 20) + (text[20] === 'A' ? 'B' : 'A') + text.slice(21);
    const wrong: [string, string, Record<string, string>][] = [
      [`cursor=${changed}`, 'cursor', admin],
      [`cursor=${text.slice(0, -4)}`, 'cursor', admin],
      ['cursor=eyJhZnRlciI6MH0', 'cursor', admin],
      ['cursor=', 'cursor', admin],
      [`cursor=${'x'.repeat(513)}`, 'cursor', admin],
      [`cursor=${text}`, 'cursor', bearer(other.admin.secret)],
      [`cursor=${text}&pageSize=10`, 'pageSize', admin],
      [`cursor=${text}&currency=USD`, 'currency', admin],
      [`cursor=${text}&startTimestamp=2026-01-01T00:00:00Z`, 'startTimestamp', admin],
      ['pageSize=9', 'pageSize', admin],
      ['pageSize=1001', 'pageSize', admin],
      ['pageSize=ten', 'pageSize', admin],
      ['currency=VCU', 'currency', admin],
      ['startTimestamp=2026-01-01', 'startTimestamp', admin],
      ['startTimestamp=2026-01-01T00:00:00%2B02:00', 'startTimestamp', admin],
      ['endTimestamp=2026-02-30T00:00:00Z', 'endTimestamp', admin],
      [
        'startTimestamp=2026-01-02T00:00:00Z&endTimestamp=2026-01-02T00:00:00Z',
        'endTimestamp',
        admin,
      ],
    ];
    for (const [query, field, headers] of wrong) {
      const { status, json } = await app.get(`${PATH}?${query}`, headers);
      expect([query, status]).toEqual([query, 400]);
      venice.expectAnswer('get', '/billing/usage-history', 400, json);
      expect(json['details']).toHaveProperty(field);
    }
    expect((await app.get(`${PATH}?page=2`, admin)).status).toBe(400);
    expect((await page(app, `cursor=${text}`, admin)).rows).toHaveLength(10);
    clock.ms += 24 * 3_600_000;
    const late = await app.get(`${PATH}?cursor=${text}`, admin);
    expect(late.status).toBe(400);
    expect(textOf(late.json['error'])).toContain('expired');
  });

  it('is a CSV file for those who accept one, its next page in a header', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await customer(app);
    await charge(app, owner.accountId, clock, 12);
    const headers = { ...bearer(owner.admin.secret), accept: 'application/json, text/csv' };
    const first = await app.get(`${PATH}?pageSize=10`, headers);
    expect(first.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(first.headers.get('content-disposition')).toBe(
      'attachment; filename=billing-usage-history-20260228T000002000Z.csv',
    );
    expect(first.headers.get('vary')).toContain('Accept');
    const cursor = first.headers.get('x-next-cursor');
    expect(cursor).toMatch(/^[A-Za-z0-9_-]{1,512}$/);
    const second = await app.get(`${PATH}?cursor=${cursor}`, headers);
    expect(second.headers.has('x-next-cursor')).toBe(false);
    const all = await charges(app, owner.accountId);
    const lines = [first, second].flatMap(({ text }) => {
      const [head, ...rows] = text.trimEnd().split('\r\n');
      expect(head).toBe(
        'timestamp,sku,pricePerUnitUsd,units,amount,currency,notes,inferenceDetails.requestId,inferenceDetails.inferenceExecutionTime,inferenceDetails.promptTokens,inferenceDetails.completionTokens',
      );
      return rows.map((row) => row.split(','));
    });
    expect(lines.map((cells) => nano(cells[4]))).toEqual(all.map(({ amount }) => -amount));
    expect(lines.map((cells) => cells[7])).toEqual(all.map((row) => row.request_id));
    expect(lines[0]!.slice(8)).toEqual(['0', '', '']);
    const plain = { ...headers, accept: 'application/json, text/csv;q=0' };
    expect((await app.get(PATH, plain)).headers.get('content-type')).toContain('application/json');
  });

  it('writes no cell that a spreadsheet would run', () => {
    const texts = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', 'a=1', '"quoted", so', 'é\n2'];
    expect(csv([texts, [null, { number: '-0.1' }, '']])).toBe(
      `'=1+1,'+1,'-1,'@SUM(A1),'\t=1,"'\r=1",a=1,"""quoted"", so","é\n2"\r\n,-0.1,\r\n`,
    );
  });
});
