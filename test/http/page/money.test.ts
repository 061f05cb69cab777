import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EvmWallet, startApp, type TestApp } from '../../support/app.ts';
import { type Site, site } from '../../support/site.ts';

const because = { reason: 'for a test' };

describe('the site’s pages about money', () => {
  let app: TestApp;
  let boss: Site;
  let wallet: EvmWallet;
  let account: string;
  beforeAll(async () => {
    app = await startApp();
    boss = await site(app);
    wallet = await app.evm();
    const headers = { 'payment-signature': await wallet.pay('5') };
    expect((await app.post('/x402/top-up', {}, headers)).status).toBe(200);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn() })).status).toBe(200);
    account = (await app.app.store.accounts.walletAccount({ ...wallet, chain: '' }))!;
  });
  afterAll(async () => {
    await app.check();
    await app[Symbol.asyncDispose]();
  });

  it('finds an account by part of its address', async () => {
    const text = await boss.page(`/admin/accounts?search=${wallet.address.slice(4, 14)}`);
    expect(text).toContain(account);
    expect(await boss.page('/admin/accounts?search=nobody')).toContain('No account is like that');
  });

  it('shows an account with its ledger and the balance after each entry', async () => {
    const text = await boss.page(`/admin/accounts/${account}`);
    expect(text).toContain('deposit');
    expect(text).toContain('charge');
    expect(text).toContain('$5.00');
  });

  it('gives credit for a reason, large sums only when they are said twice (A-6)', async () => {
    const at = `/admin/accounts/${account}/grants`;
    expect((await boss.send(at, { amountUsd: '1' })).text).toContain('reason');
    const large = await boss.send(at, { amountUsd: '500', ...because });
    expect([large.status, large.text]).toEqual([400, expect.stringContaining('confirm')]);
    const twice = { amountUsd: '500', confirm: '500', ...because };
    expect((await boss.send(at, twice)).status).toBe(303);
    expect(await boss.page(`/admin/accounts/${account}`)).toContain('$500.00');
    const [, id] = /adjustments\/(adj_\w+)\/reverse/.exec(
      await boss.page(`/admin/accounts/${account}`),
    )!;
    const back = `/admin/accounts/${account}/adjustments/${id}/reverse`;
    expect((await boss.send(back, because)).status).toBe(303);
    expect((await boss.send(back, because)).status).toBe(409);
  });

  it('gives credit once, however often one form is sent', async () => {
    const text = await boss.page(`/admin/accounts/${account}`);
    const form = /action="[^"]*\/grants"[\s\S]*?<\/form>/.exec(text)![0];
    const [, once = ''] = /name="once" value="([^"]+)"/.exec(form)!;
    const at = `/admin/accounts/${account}/grants`;
    const credit = async () => app.balanceOf(wallet);
    const before = await credit();
    // One that fails is not held to be done.
    expect((await boss.send(at, { amountUsd: '1', once })).status).toBe(400);
    const clicks = Array.from({ length: 5 }, () =>
      boss.send(at, { amountUsd: '1', once, ...because }),
    );
    const answers = await Promise.all(clicks);
    expect(new Set(answers.map(({ status, to }) => `${status} ${to}`)).size).toBe(1);
    expect((await credit()) - before).toBe(1_000_000_000);
    // Gone back to, and filled in with something else: that is another form.
    expect((await boss.send(at, { amountUsd: '2', once, ...because })).status).toBe(422);
    expect((await credit()) - before).toBe(1_000_000_000);
  });

  it('freezes and unfreezes', async () => {
    const at = `/admin/accounts/${account}`;
    expect((await boss.send(at, { state: 'frozen', ...because })).status).toBe(303);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn() })).status).toBe(403);
    expect((await boss.send(at, { state: 'active', ...because })).status).toBe(303);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn() })).status).toBe(200);
  });

  it('makes a key, shows it once, limits and revokes it', async () => {
    const fields = { accountId: account, label: 'agent', limitUsd: '2', period: 'MONTH' };
    const made = await boss.send('/admin/keys', { ...fields, type: 'INFERENCE', ...because });
    const secret = /ck_\w+/.exec(made.text)![0];
    const [, id = ''] = /\/admin\/keys\/(key_\w+)/.exec(made.text)!;
    const bearer = { authorization: `Bearer ${secret}` };
    expect((await app.chat(bearer)).status).toBe(200);
    expect(await boss.page(`/admin/keys?accountId=${account}`)).toContain('$2 in a UTC month');
    expect(await boss.page(`/admin/keys/${id}`)).not.toContain(secret);
    const none = { models: 'other-*', ...because };
    expect((await boss.send(`/admin/keys/${id}`, none)).status).toBe(303);
    expect((await app.chat(bearer)).status).toBe(403);
    expect((await boss.send(`/admin/keys/${id}/revoke`, because)).status).toBe(303);
    expect((await app.chat(bearer)).status).toBe(401);
  });

  it('shows payments and what was seen of them', async () => {
    const list = await boss.page(`/admin/payments?state=settled&payer=${wallet.address}`);
    const [id] = /pay_\w+/.exec(list)!;
    const text = await boss.page(`/admin/payments/${id}`);
    expect(text).toContain(wallet.address);
    expect(text).toContain('$5.00');
    const at = `/admin/payments/${id}/recheck`;
    const isOpen = text.includes(at);
    expect((await boss.send(at, {})).status).toBe(isOpen ? 303 : 409);
  });

  it('approves, pays and cancels payouts', async () => {
    const headers = async () => ({ 'sign-in-with-x': await wallet.signIn() });
    await app.post('/x402/payouts', { amount_usd: '1' }, await headers());
    const [, id] = /payouts\/(\w+)/.exec(await boss.page('/admin/payouts?state=requested'))!;
    expect((await boss.send(`/admin/payouts/${id}/approve`, { ...because })).status).toBe(303);
    expect(await boss.page(`/admin/payouts/${id}`)).toContain('settled');
    const amount = { amountUsd: '0.5', method: 'manual', ...because };
    const made = await boss.send(`/admin/accounts/${account}/payouts`, amount);
    expect(made.to).toMatch(/^\/admin\/payouts\/\w+$/);
    expect((await boss.send(`${made.to}/cancel`, because)).status).toBe(303);
    expect(await boss.page(made.to)).toContain('cancelled');
  });

  it('lists what was done in the log', async () => {
    const text = await boss.page(`/admin/log?target=${account}`);
    for (const action of ['account.grant', 'account.reverse', 'account.freeze']) {
      expect(text).toContain(action);
    }
  });
});
