/** Keys of one wallet that chat over days, and what the ledger says that they were charged. */
import { expect } from 'vitest';
import type { EntryRow } from '../../src/db/tables.ts';
import { type Answer, type EvmWallet, type TestApp, textOf } from './app.ts';
import { whole } from './upstream.ts';

export const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

export interface Customer {
  accountId: string;
  wallet: EvmWallet;
  admin: { secret: string; id: string };
  /** An INFERENCE key, one that comes from it, and one that does not. */
  parent: { secret: string; id: string };
  child: { secret: string; id: string };
  other: { secret: string; id: string };
}

export async function customer(app: TestApp, usd = '5'): Promise<Customer> {
  const { keys, accounts } = app.app.store;
  const wallet = await app.evm(usd);
  const { family, address } = wallet;
  const accountId = (await accounts.walletAccount({ family, address, chain: '' }))!;
  const admin = await keys.create({ accountId, type: 'ADMIN', description: 'admin' });
  const parent = await keys.create({ accountId, type: 'INFERENCE', description: 'agent' });
  const child = await keys.create({
    accountId,
    type: 'INFERENCE',
    description: 'agent',
    parentId: parent.id,
  });
  const other = await keys.create({ accountId, type: 'INFERENCE', description: 'date' });
  return { accountId, wallet, admin, parent, child, other };
}

/** One chat that the upstream reports these tokens of. */
export async function chat(
  app: TestApp,
  headers: Record<string, string>,
  usage: object = { prompt_tokens: 7, completion_tokens: 3 },
): Promise<Answer> {
  app.upstream.next(whole({ usage }));
  const answer = await app.chat(headers);
  expect(answer.status).toBe(200);
  return answer;
}

export async function signedChat(app: TestApp, wallet: EvmWallet): Promise<Answer> {
  return chat(app, { 'sign-in-with-x': await wallet.signIn() });
}

/** What an account was charged, oldest first. */
export async function charges(app: TestApp, accountId: string): Promise<EntryRow[]> {
  return app.app.store.ledger.read
    .selectFrom('entries')
    .selectAll()
    .where('debit_account', '=', accountId)
    .where('kind', '=', 'CHARGE')
    .orderBy('seq')
    .execute();
}

/** "0.000000123" and 0.000000123 in nano-dollars. */
export function nano(usd: unknown): number {
  const text =
    typeof usd === 'number' ? usd.toFixed(9) : textOf(usd as Parameters<typeof textOf>[0]);
  const [whole = '', fraction = ''] = text.split('.');
  const magnitude = Number(whole.replace('-', '') + fraction.padEnd(9, '0'));
  return whole.startsWith('-') ? -magnitude : magnitude;
}

export function sum(list: readonly number[]): number {
  return list.reduce((a, b) => a + b, 0);
}
