import { expect, it } from 'vitest';
import { startApp, textOf } from '../../support/app.ts';
import { operator } from '../../support/operator.ts';

it('tells an operator what one account used, and nobody else’s', async () => {
  await using app = await startApp();
  const boss = await operator(app);
  const [one, other] = [await app.key('1'), await app.key('1')];
  for (const { secret } of [one, one, other]) {
    expect((await app.chat({ authorization: `Bearer ${secret}` })).status).toBe(200);
  }
  const { json } = await boss.get(`/accounts/${one.accountId}/usage`);
  expect(json['data']).toMatchObject([{ model: 'demo-chat', requests: 2, estimated: 0 }]);
  const account = await boss.get(`/accounts/${one.accountId}`);
  const spent = 1 - Number(textOf(account.json['postedUsd']));
  const [row] = json['data'] as unknown as { costUsd: string }[];
  expect(Number(row?.costUsd)).toBeCloseTo(spent, 9);
  expect((await boss.get('/accounts/acc_none/usage')).status).toBe(404);
  expect((await boss.get(`/accounts/${one.accountId}/usage?from=2026-02-30`)).status).toBe(400);
  await app.check();
});
