import { describe, expect, it } from 'vitest';
import { startApp, textOf, type TestApp } from '../../support/app.ts';
import { because, operator } from '../../support/operator.ts';
import { manualClock, reserveRequest } from '../../support/store.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const DAY = 86_400_000;

async function accountOf(app: TestApp, usd?: string) {
  const wallet = await app.evm(usd);
  const owner = { family: wallet.family, chain: '', address: wallet.address };
  const id = (await app.app.store.accounts.walletAccount(owner))!;
  return { id, wallet };
}

describe('/admin/api/accounts', () => {
  it('opens accounts of the house whose keys spend their credit line', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const made = await boss.post('/accounts', { label: 'team', creditLineUsd: '5', ...because });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      kind: 'house',
      label: 'team',
      state: 'active',
      wallet: null,
      postedUsd: '0.00',
      availableUsd: '0.00',
      creditLineUsd: '5.00',
    });
    const id = textOf(made.json['id']);
    const key = await boss.post('/keys', { accountId: id, label: 'agent', ...because });
    expect(key.status).toBe(201);
    expect((await app.chat(bearer(textOf(key.json['key'])))).status).toBe(200);
    const shown = await boss.get(`/accounts/${id}`);
    expect(shown.json).toMatchObject({ id, entries: [{ kind: 'CHARGE' }] });
    expect(textOf(shown.json['postedUsd'])).toMatch(/^-0\.0/);
    const lower = await boss.patch(`/accounts/${id}`, { creditLineUsd: '0', ...because });
    expect(lower.status).toBe(400);
    expect(lower.text).toContain('creditLineUsd: must be at least 0.0');
    const [change] = await boss.audit(`?target=${id}`);
    expect(change).toMatchObject({
      actor: boss.keyId,
      action: 'account.create',
      reason: 'for a test',
      detail: { label: 'team', creditLineUsd: '5.00' },
    });
    await app.check();
  });

  it('freezes and unfreezes, from the next request on', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { secret, accountId } = await app.key('1');
    expect((await app.chat(bearer(secret))).status).toBe(200);
    const frozen = await boss.patch(`/accounts/${accountId}`, { state: 'frozen', ...because });
    expect(frozen.json).toMatchObject({ state: 'frozen', wallet: { family: 'eip155' } });
    const refused = await app.chat(bearer(secret));
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('frozen')]);
    await boss.patch(`/accounts/${accountId}`, { state: 'active', ...because });
    expect((await app.chat(bearer(secret))).status).toBe(200);
    const actions = (await boss.audit(`?target=${accountId}`)).map(({ action }) => action);
    expect(actions).toEqual(['account.unfreeze', 'account.freeze']);
    await app.check();
  });

  it('gives and takes credit, never what is set aside, and says so in ledger and log', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { id, wallet } = await accountOf(app, '0');
    expect((await boss.post(`/accounts/${id}/grants`, { amountUsd: '3', ...because })).status).toBe(
      201,
    );
    const taken = await boss.post(`/accounts/${id}/adjustments`, {
      amountUsd: '-1.25',
      ...because,
    });
    expect(taken.json).toMatchObject({ kind: 'ADJUST', amountUsd: '-1.25', actor: boss.keyId });
    await boss.post(`/accounts/${id}/adjustments`, { amountUsd: '0.25', ...because });
    expect(await app.balanceOf(wallet)).toBe(2_000_000_000);
    const { ledger } = app.app.store;
    const hold = await ledger.reserve(reserveRequest(id, 1_500_000_000));
    const tooMuch = await boss.post(`/accounts/${id}/adjustments`, {
      amountUsd: '-0.6',
      ...because,
    });
    expect([tooMuch.status, tooMuch.text]).toEqual([400, expect.stringContaining('at most 0.50')]);
    expect((await boss.list(`/accounts/${id}/holds?state=open`))[0]).toMatchObject({
      id: hold.id,
      purpose: 'chat',
      amountUsd: '1.50',
    });
    await ledger.void(hold);
    const entries = await boss.list(`/accounts/${id}/entries`);
    expect(entries.map(({ kind, amountUsd }) => [kind, amountUsd])).toEqual([
      ['ADJUST', '0.25'],
      ['ADJUST', '-1.25'],
      ['GRANT', '3.00'],
    ]);
    expect((await boss.audit(`?target=${id}`)).map(({ action }) => action)).toEqual([
      'account.adjust',
      'account.adjust',
      'account.grant',
    ]);
    await app.check();
  });

  it('takes an extra zero back: said twice, capped by day and key, reversed by name (A-6)', async () => {
    const clock = manualClock();
    await using app = await startApp({
      clock,
      change: ({ payments }) => {
        payments.adjustDaily = 1_000_000_000_000 as never;
      },
    });
    const [boss, other] = [await operator(app), await operator(app)];
    const { id, wallet } = await accountOf(app, '0');
    const grant = (who: typeof boss, amountUsd: string, more: object = {}) =>
      who.post(`/accounts/${id}/grants`, { amountUsd, ...because, ...more });
    const unsaid = await grant(boss, '1000');
    expect([unsaid.status, unsaid.text]).toEqual([400, expect.stringContaining('confirm')]);
    expect((await grant(boss, '1000', { confirm: '100' })).status).toBe(400);
    // Said, it must fit also where it would not have to be said.
    expect((await grant(boss, '10', { confirm: '100' })).status).toBe(400);
    const given = await grant(boss, '1000', { confirm: '1000.00' });
    expect(given.status).toBe(201);
    const over = await grant(boss, '0.000001');
    expect([over.status, over.text]).toEqual([403, expect.stringContaining('0.00 is left')]);
    const down = await boss.post(`/accounts/${id}/adjustments`, { amountUsd: '-1', ...because });
    expect(down.status).toBe(403);
    expect((await grant(other, '1')).status).toBe(201);
    const at = `/accounts/${id}/adjustments/${textOf(given.json['id'])}/reverse`;
    const [back, ...late] = await Promise.all([1, 2, 3].map(() => boss.post(at, because)));
    const all = [back!, ...late].map(({ status }) => String(status)).toSorted();
    expect(all).toEqual(['201', '409', '409']);
    expect(await app.balanceOf(wallet)).toBe(1_000_000_000);
    const [entry] = await boss.list(`/accounts/${id}/entries?limit=1`);
    expect(entry).toMatchObject({
      kind: 'ADJUST',
      amountUsd: '-1000.00',
      ref: `${textOf(given.json['id'])}:reversed`,
    });
    const [log] = await boss.audit(`?target=${id}&action=account.reverse`);
    expect(log).toMatchObject({ detail: { reverses: given.json['id'], usd: '-1000.00' } });
    const [adjustment] = await boss.list(`/accounts/${id}/adjustments?limit=1`);
    expect(
      (await boss.post(`/accounts/${id}/adjustments/${textOf(adjustment!['id'])}/reverse`, because))
        .status,
    ).toBe(409);
    clock.ms += DAY;
    expect((await grant(boss, '5')).status).toBe(201);
    await app.check();
  });

  it('keeps the daily cap under a hundred grants at once (A-6)', async () => {
    await using app = await startApp({
      change: ({ payments }) => {
        payments.adjustDaily = 10_000_000_000 as never;
      },
    });
    const boss = await operator(app);
    const { id, wallet } = await accountOf(app, '0');
    const ends = await Promise.all(
      Array.from({ length: 100 }, () =>
        boss.post(`/accounts/${id}/grants`, { amountUsd: '0.7', ...because }),
      ),
    );
    expect(ends.filter(({ status }) => status === 201)).toHaveLength(14);
    expect(ends.filter(({ status }) => status === 403)).toHaveLength(86);
    expect(await app.balanceOf(wallet)).toBe(9_800_000_000);
    await app.check();
  });

  it('takes no field that is not its own, and no wrong one (A-2)', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { id } = await accountOf(app, '1');
    const before = await boss.get(`/accounts/${id}`);
    const cases: [string, object][] = [
      ['PATCH', { is_admin: true }],
      ['PATCH', { balance: '100' }],
      ['PATCH', { posted: 1_000_000_000_000 }],
      ['PATCH', { kind: 'house' }],
      ['PATCH', { held: 0 }],
      ['PATCH', { id: 'acc_house' }],
      ['PATCH', { creditLineUsd: '1' }],
      ['PATCH', { state: 'gone' }],
      ['PATCH', { label: '' }],
      ['POST', { label: 'x', posted: 1 }],
      ['POST', { label: 'x', kind: 'wallet' }],
      ['POST', { label: 'x', id: 'acc_mine' }],
      ['POST', { label: 'x', creditLineUsd: 5 }],
      ['POST', { label: 'x', creditLineUsd: '-5' }],
      ['POST', { label: 'x', creditLineUsd: '101' }],
      ['POST', { label: 'x', constructor: {} }],
    ];
    for (const [method, fields] of cases) {
      const path = method === 'POST' ? '/accounts' : `/accounts/${id}`;
      const answer = await boss.send(method, path, { ...because, ...fields });
      expect([fields, answer.status]).toEqual([fields, 400]);
    }
    expect(await boss.get(`/accounts/${id}`)).toEqual(before);
    expect(await boss.list('/accounts')).toHaveLength(2);
  });

  it('changes nothing without a reason', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { id } = await accountOf(app, '1');
    const bodies: [string, string, object][] = [
      ['POST', '/accounts', { label: 'x' }],
      ['PATCH', `/accounts/${id}`, { state: 'frozen' }],
      ['POST', `/accounts/${id}/grants`, { amountUsd: '1' }],
      ['POST', `/accounts/${id}/adjustments`, { amountUsd: '1' }],
      ['POST', `/accounts/${id}/payouts`, {}],
      ['POST', '/keys', { label: 'x' }],
      ['PATCH', '/channels/demo', { isOn: false }],
    ];
    for (const why of [{}, { reason: '' }, { reason: '  x  ' }, { reason: 'x'.repeat(501) }]) {
      for (const [method, path, body] of bodies) {
        const { status, text } = await boss.send(method, path, { ...body, ...why });
        expect([path, status, text]).toEqual([path, 400, expect.stringContaining('reason')]);
      }
    }
    // The operator's own key is all that was made.
    expect(await boss.audit()).toHaveLength(1);
  });

  it('finds by label, id and address, in pages, with signs that stand for themselves (K-9)', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const labels = [
      '100% cotton',
      '100x cotton',
      'under_score',
      'underXscore',
      "o'brien; --",
      'a\\b\\c',
    ];
    for (const label of labels) await boss.post('/accounts', { label, ...because });
    const { id, wallet } = await accountOf(app, '1');
    const found = async (search: string) =>
      (await boss.list(`/accounts?search=${encodeURIComponent(search)}`)).map(({ label }) => label);
    expect(await found('0% c')).toEqual(['100% cotton']);
    expect(await found('r_s')).toEqual(['under_score']);
    expect(await found("o'brien; --")).toEqual(["o'brien; --"]);
    expect(await found('a\\b')).toEqual(['a\\b\\c']);
    expect(await found('%%%')).toEqual([]);
    expect(await found("' or '1'='1")).toEqual([]);
    expect(await found('COTTON')).toHaveLength(2);
    expect(await boss.list(`/accounts?search=${wallet.address.slice(5, 20)}`)).toMatchObject([
      { id, wallet: { address: wallet.address } },
    ]);
    expect(await boss.list(`/accounts?search=${id}`)).toHaveLength(1);
    expect((await boss.get('/accounts?search=ab')).status).toBe(400);
    expect((await boss.get('/accounts?search=%20a%20%20')).status).toBe(400);
    expect((await boss.get("/accounts?cursor='")).status).toBe(400);
    expect((await boss.get('/accounts?order=posted')).status).toBe(400);
    expect(await boss.list('/accounts?kind=wallet')).toHaveLength(1);
    const pages: unknown[] = [];
    let cursor: string | null = null;
    do {
      const at: string = cursor === null ? '' : `&cursor=${cursor}`;
      const { json } = await boss.get(`/accounts?limit=3${at}`);
      const data = json['data'] as unknown as { id: string }[];
      pages.push(...data.map((row) => row.id));
      cursor = json['nextCursor'] as unknown as string | null;
    } while (cursor !== null);
    expect(new Set(pages).size).toBe(8);
    expect(pages).toHaveLength(8);
  });
});
