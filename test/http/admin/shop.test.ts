import { describe, expect, it } from 'vitest';
import { startApp, textOf } from '../../support/app.ts';
import { because, operator } from '../../support/operator.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('/admin/api/channels', () => {
  it('turns a channel off and on from the next request on, also over a restart', async () => {
    await using first = await startApp();
    const { dataDir } = first;
    const boss = await operator(first);
    const { secret } = await first.key('1');
    const [channel] = await boss.list('/channels');
    const id = textOf(channel!['id']);
    expect(channel).toMatchObject({ id, isOn: true, switched: null });
    expect(channel).not.toHaveProperty('apiKey');
    expect((await first.chat(bearer(secret))).status).toBe(200);
    const off = await boss.patch(`/channels/${id}`, { isOn: false, reason: 'it lies' });
    expect(off.json).toMatchObject({ isOn: false, switched: { reason: 'it lies' } });
    const refused = await first.chat(bearer(secret));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await first.stop();
    await using app = await startApp({ dataDir });
    const headers = bearer(boss.secret);
    expect((await app.chat(bearer(secret))).status).toBe(503);
    const on = await fetch(`${app.url}/admin/api/channels/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ isOn: true, ...because }),
    });
    expect(on.status).toBe(200);
    expect((await app.chat(bearer(secret))).status).toBe(200);
    const log = await app.get(`/admin/api/audit?target=${id}`, headers);
    expect(log.json).toMatchObject({
      data: [
        { action: 'channel.on', actor: boss.keyId },
        { action: 'channel.off', reason: 'it lies' },
      ],
    });
    await app.check();
  });

  it('knows only channels that are configured', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    expect((await boss.patch('/channels/none', { isOn: false, ...because })).status).toBe(404);
    expect((await boss.patch('/channels/demo', { isOn: 'no', ...because })).status).toBe(400);
  });
});

describe('/admin/api/payments', () => {
  it('lists what was paid in, by state, network, payer and account', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await app.evm();
    const paid = await app.post('/x402/top-up', {}, { 'payment-signature': await wallet.pay('2') });
    expect(paid.status).toBe(200);
    const [payment] = await boss.list('/payments');
    expect(payment).toMatchObject({
      status: 'settled',
      payer: wallet.address,
      amountUsd: '2.00',
      isFinal: true,
      isExposed: false,
    });
    const id = textOf(payment!['id']);
    expect((await boss.get(`/payments/${id}`)).json).toEqual(payment);
    const upper = `0x${wallet.address.slice(2).toUpperCase()}`;
    expect(await boss.list(`/payments?payer=${upper}&state=settled`)).toHaveLength(1);
    expect(await boss.list('/payments?state=failed')).toEqual([]);
    expect(await boss.list("/payments?payer=' or 1=1 --")).toEqual([]);
    expect((await boss.get('/payments?state=any')).status).toBe(400);
    expect((await boss.get('/payments/pay_none')).status).toBe(404);
  });
});

describe('/admin/api/audit', () => {
  it('is paged, newest first, and takes no changes', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    for (const label of ['one', 'two', 'three'])
      await boss.post('/accounts', { label, ...because });
    const first = await boss.get('/audit?limit=3');
    const seqs = (first.json['data'] as unknown as { seq: number }[]).map(({ seq }) => seq);
    expect(seqs).toEqual([4, 3, 2]);
    const next = await boss.get(`/audit?limit=3&cursor=${textOf(first.json['nextCursor'])}`);
    expect(next.json).toMatchObject({ data: [{ seq: 1, action: 'key.create' }], nextCursor: null });
    expect(await boss.audit(`?actor=${boss.keyId}`)).toHaveLength(3);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect((await boss.send(method, '/audit')).status).toBe(405);
    }
  });
});
