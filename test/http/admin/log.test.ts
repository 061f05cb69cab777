import { expect, it } from 'vitest';
import { startApp, textOf } from '../../support/app.ts';
import { because, operator } from '../../support/operator.ts';

it('leaves exactly one line in the log for every change, whichever route made it', async () => {
  await using app = await startApp();
  const boss = await operator(app);
  const wallet = await app.evm('20');
  const owner = { family: wallet.family, chain: '', address: wallet.address };
  const account = (await app.app.store.accounts.walletAccount(owner))!;
  const { id: key } = await app.app.store.keys.create({ type: 'INFERENCE', description: '' });
  const made = async (path: string, body: object = {}) =>
    textOf((await boss.post(path, { ...body, ...because })).json['id']);
  const payouts = `/accounts/${account}/payouts`;
  const byHand = { amountUsd: '1', method: 'manual' };
  const adjustment = await made(`/accounts/${account}/adjustments`, { amountUsd: '1' });
  const waiting = await made(payouts, byHand);
  const unwanted = await made(payouts, byHand);

  const base = '/admin/api';
  /** Of every route that changes something: what to call, and what is then in the log. */
  const calls: Record<string, [path: string, body: object, action: string]> = {
    [`post ${base}/accounts`]: ['/accounts', { label: 'x' }, 'account.create'],
    [`patch ${base}/accounts/:id`]: [`/accounts/${account}`, { label: 'y' }, 'account.update'],
    [`post ${base}/accounts/:id/grants`]: [
      `/accounts/${account}/grants`,
      { amountUsd: '1' },
      'account.grant',
    ],
    [`post ${base}/accounts/:id/adjustments`]: [
      `/accounts/${account}/adjustments`,
      { amountUsd: '-1' },
      'account.adjust',
    ],
    [`post ${base}/accounts/:id/adjustments/:adjustment/reverse`]: [
      `/accounts/${account}/adjustments/${adjustment}/reverse`,
      {},
      'account.reverse',
    ],
    [`post ${base}/accounts/:id/payouts`]: [payouts, byHand, 'payout.make'],
    [`post ${base}/keys`]: ['/keys', { label: 'x' }, 'key.create'],
    [`patch ${base}/keys/:id`]: [`/keys/${key}`, { label: 'z' }, 'key.update'],
    [`delete ${base}/keys/:id`]: [`/keys/${key}?reason=for%20a%20test`, {}, 'key.revoke'],
    [`patch ${base}/channels/:id`]: ['/channels/demo', { isOn: false }, 'channel.off'],
    [`post ${base}/payouts/:id/approve`]: [`/payouts/${waiting}/approve`, {}, 'payout.approve'],
    [`post ${base}/payouts/:id/cancel`]: [`/payouts/${unwanted}/cancel`, {}, 'payout.cancel'],
  };
  // Play money is not sent by hand, and a webhook needs a task first: test/payouts and test/http/webhooks have those lines.
  const elsewhere = [`post ${base}/payouts/:id/sent`, `post ${base}/webhooks/:id/redeliver`];
  const changing = app.app.routes
    .filter(({ method, path }) => path.startsWith(base) && method !== 'get')
    .map(({ method, path }) => `${method} ${path}`);
  expect(Object.keys(calls).concat(elsewhere).toSorted()).toEqual(changing.toSorted());

  for (const [route, [path, body, action]] of Object.entries(calls)) {
    const before = await boss.audit('?limit=200');
    const method = route.slice(0, route.indexOf(' ')).toUpperCase();
    const sent = method === 'DELETE' ? undefined : { ...body, ...because };
    const { status, text } = await boss.send(method, path, sent);
    expect([route, status < 300, text]).toEqual([route, true, text]);
    const after = await boss.audit('?limit=200');
    expect([route, after.length]).toEqual([route, before.length + 1]);
    expect(after[0]).toMatchObject({ action, actor: boss.keyId, reason: 'for a test' });
  }
  await app.stop();
});
