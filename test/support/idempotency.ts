/** Requests with an Idempotency-Key, and what the server keeps of them. */
import { expect } from 'vitest';
import type { Answer, TestApp } from './app.ts';

export function keyed(secret: string, key = 'k-1'): Record<string, string> {
  return { authorization: `Bearer ${secret}`, 'idempotency-key': key };
}

export function isReplay(answer: Answer): boolean {
  return answer.headers.get('idempotency-replayed') === 'true';
}

/** Status, bytes and every header that is not of the connection. */
export function whatItSays({ status, headers, text }: Answer) {
  const own = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'];
  const said = [...headers].filter(
    ([name]) => !own.includes(name) && name !== 'idempotency-replayed',
  );
  // Limits are those of now.
  const kept = said.filter(([name]) => !name.startsWith('x-ratelimit'));
  return { status, headers: Object.fromEntries(kept), text };
}

export function rowsOf({ app }: TestApp) {
  return app.store.ledger.read.selectFrom('idempotency_keys').selectAll().execute();
}

export async function holdsOf({ app }: TestApp, state: 'captured' | 'voided') {
  const holds = app.store.ledger.read.selectFrom('holds').selectAll();
  return holds.where('state', '=', state).execute();
}

/** One charge, of one upstream call. */
export async function expectOneCharge(shop: TestApp): Promise<void> {
  expect(shop.upstream.requests).toHaveLength(1);
  expect(await holdsOf(shop, 'captured')).toHaveLength(1);
  await shop.check();
}
