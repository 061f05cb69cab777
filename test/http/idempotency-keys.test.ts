import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startApp } from '../support/app.ts';
import { expectOneCharge, isReplay, keyed, rowsOf, whatItSays } from '../support/idempotency.ts';
import { manualClock } from '../support/store.ts';
import { whole } from '../support/upstream.ts';

const DAY_MS = 24 * 60 * 60_000;

describe('an Idempotency-Key', () => {
  it('is of its principal alone (C-12)', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key();
    const { secret: stranger } = await shop.key();
    const sibling = await shop.app.store.keys.create({
      accountId,
      type: 'INFERENCE',
      description: '',
    });
    const wallet = await shop.evm('1');
    const signIn = async () => ({
      'sign-in-with-x': await wallet.signIn(),
      'idempotency-key': 'k-1',
    });
    const bodies = [keyed(secret), keyed(stranger), keyed(sibling.secret), await signIn()];
    for (const [index, headers] of bodies.entries()) {
      const answer = await shop.chat(headers, { temperature: index / 10 });
      expect([answer.status, isReplay(answer)]).toEqual([200, false]);
    }
    expect(isReplay(await shop.chat(keyed(stranger), { temperature: 0.1 }))).toBe(true);
    expect(isReplay(await shop.chat(await signIn(), { temperature: 0.3 }))).toBe(true);
    expect((await shop.chat(await signIn(), { temperature: 0.1 })).status).toBe(422);
    expect(shop.upstream.requests).toHaveLength(4);
    await shop.check();
  });

  it.each([
    ['empty', ''],
    ['longer than 255 characters', 'x'.repeat(256)],
    ['of two words', 'a b'],
    ['not ASCII', 'clé'],
  ])('that is %s is refused by name', async (_what, key) => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const answer = await shop.chat(keyed(secret, key));
    expect([answer.status, answer.json['error']?.['code']]).toEqual([400, 'invalid_request']);
    expect(answer.text).toContain('Idempotency-Key');
    expect(shop.upstream.requests).toHaveLength(0);
  });

  it('of 255 characters is taken', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const key = `"${'~'.repeat(253)}"`;
    expect((await shop.chat(keyed(secret, key))).status).toBe(200);
    expect(isReplay(await shop.chat(keyed(secret, key)))).toBe(true);
  });

  it('is forgotten after 24 hours, and not before', async () => {
    const clock = manualClock();
    await using shop = await startApp({ clock });
    const { secret } = await shop.key();
    await shop.chat(keyed(secret));
    clock.ms += DAY_MS - 1;
    await shop.app.store.sweep();
    expect(isReplay(await shop.chat(keyed(secret)))).toBe(true);
    clock.ms += 1;
    const late = await shop.chat(keyed(secret), { temperature: 1 });
    expect([late.status, isReplay(late)]).toEqual([200, false]);
    expect(await rowsOf(shop)).toHaveLength(1);
    clock.ms += DAY_MS;
    await shop.app.store.sweep();
    expect(await rowsOf(shop)).toEqual([]);
    await shop.check();
  });

  it('is free after 401, 402 and 4xx; a retry after a top-up is served', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const signIn = async () => ({
      'sign-in-with-x': await wallet.signIn(),
      'idempotency-key': 'k-1',
    });
    expect((await shop.chat({ 'idempotency-key': 'k-1' })).status).toBe(402);
    expect((await shop.chat(keyed('ck_wrong'))).status).toBe(401);
    expect((await shop.chat(await signIn())).status).toBe(402);
    expect((await shop.chat(await signIn(), { n: 0 })).status).toBe(400);
    expect(await rowsOf(shop)).toEqual([]);
    const paid = await shop.post('/x402/top-up', '', { 'x-payment': await wallet.pay('5') });
    expect(paid.status).toBe(200);
    const served = await shop.chat(await signIn());
    expect([served.status, isReplay(served)]).toEqual([200, false]);
    expect(isReplay(await shop.chat(await signIn()))).toBe(true);
    await expectOneCharge(shop);
  });

  it('makes an inline payment serve its answer again, and settles no second one', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const key = { 'idempotency-key': 'k-1' };
    const payment = { 'payment-signature': await wallet.pay('1') };
    const first = await shop.chat({ ...payment, ...key });
    expect(first.status).toBe(200);
    const again = await shop.chat({ ...payment, ...key });
    expect(whatItSays(again)).toEqual(whatItSays(first));
    expect(again.headers.get('payment-response')).toBe(first.headers.get('payment-response'));
    const signedAgain = { 'payment-signature': await wallet.pay('1') };
    const replay = await shop.chat({ ...signedAgain, ...key });
    expect([isReplay(again), isReplay(replay)]).toEqual([true, true]);
    expect(replay.headers.get('payment-response')).toBe(first.headers.get('payment-response'));
    expect(await shop.balanceOf(wallet)).toBe(999_985_000);
    const rows = await shop.app.store.ledger.read.selectFrom('payments').selectAll().execute();
    expect(rows).toHaveLength(1);
    const stranger = await shop.evm();
    const forged = await shop.chat({ 'payment-signature': await stranger.pay('1'), ...key });
    expect([forged.status, isReplay(forged)]).toEqual([200, false]);
    expect(shop.upstream.requests).toHaveLength(2);
    await shop.check();
  });

  it('makes 20 inline payments of one wallet for one request one charge', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const payments = await Promise.all(Array.from({ length: 20 }, () => wallet.pay('0.05')));
    const answers = await Promise.all(
      payments.map((payment) => shop.chat({ 'x-payment': payment, 'idempotency-key': 'k-1' })),
    );
    for (const { status } of answers) expect(status).toBe(200);
    expect(answers.filter(isReplay)).toHaveLength(19);
    expect(await shop.balanceOf(wallet)).toBe(49_985_000);
    await expectOneCharge(shop);
  });

  it('costs a request without one nothing: no row, nothing kept', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    await shop.chat({ authorization: `Bearer ${secret}` });
    const { operations } = shop.app.store.ledger.counters;
    await shop.chat({ authorization: `Bearer ${secret}` });
    expect(shop.app.store.ledger.counters.operations).toBe(operations + 2);
    expect(await rowsOf(shop)).toEqual([]);
  });

  it('may be sent, and its replay be seen, by pages of other origins', async () => {
    await using shop = await startApp({ change: ({ server }) => (server.corsOrigins = ['*']) });
    const { secret } = await shop.key();
    const origin = { origin: 'https://page.example' };
    const first = await shop.chat({ ...keyed(secret), ...origin });
    const again = await shop.chat(keyed(secret));
    expect(first.headers.get('access-control-expose-headers')).toContain('Idempotency-Replayed');
    // What one page may read is not said to the next caller.
    expect(again.headers.get('access-control-expose-headers')).toBe(null);
    expect(isReplay(again)).toBe(true);
  });

  it('keeps answers sealed: neither they nor the request stand in the database', async () => {
    await using shop = await startApp();
    const { dataDir } = shop;
    const { secret } = await shop.key();
    shop.upstream.usually(whole({ text: 'canary-in-the-answer' }));
    const messages = [{ role: 'user', content: 'canary-in-the-question' }];
    await shop.chat(keyed(secret), { messages });
    const again = await shop.chat(keyed(secret), { messages });
    expect(again.text).toContain('canary-in-the-answer');
    await shop.stop();
    for (const file of await readdir(dataDir, { withFileTypes: true, recursive: true })) {
      if (!file.isFile()) continue;
      const bytes = await readFile(join(file.parentPath, file.name));
      for (const word of ['canary-in-the-answer', 'canary-in-the-question']) {
        expect([file, bytes.includes(word)]).toEqual([file, false]);
      }
    }
  });
});
