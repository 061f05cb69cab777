import { createKeyPairSignerFromPrivateKeyBytes } from '@solana/kit';
import { ExactEvmScheme } from '@x402/evm';
import { createSIWxClientExtension, wrapFetchWithSIWx } from '@x402/extensions';
import { wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { parseUsd } from '../../src/money.ts';
import { chatBody, PLAY_EVM, PLAY_SOLANA, startApp, type TestApp } from '../support/app.ts';
import { newWallet } from '../support/evm-payment.ts';

const COST = 15_000;

function request() {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chatBody()),
  };
}

async function grant(shop: TestApp, family: 'eip155' | 'solana', address: string): Promise<void> {
  await shop.app.store.ledger.write(async (tx) => {
    const credit = await tx.walletAccount({ family, address, chain: '' });
    const entry = { ref: address, debit: SYSTEM.grants, credit, amount: parseUsd('1') };
    await tx.post({ kind: 'GRANT', ...entry });
  });
}

describe('the stock sign-in client of x402', () => {
  it('pays once, and spends the rest of what it paid by signing in', async () => {
    await using shop = await startApp();
    const account = newWallet();
    const client = new x402Client()
      .register(PLAY_EVM, new ExactEvmScheme(account))
      .registerExtension(createSIWxClientExtension({ signers: [account] }));
    const paidFetch = wrapFetchWithPayment(fetch, client);
    const url = `${shop.url}/v1/chat/completions`;
    const paid: boolean[] = [];
    for (let n = 0; n < 3; n += 1) {
      const answer = await paidFetch(url, request());
      expect(answer.status).toBe(200);
      paid.push(answer.headers.has('payment-response'));
    }
    expect(paid).toEqual([true, false, false]);
    const wallet = { family: 'eip155' as const, address: account.address.toLowerCase() };
    expect(await shop.balanceOf(wallet)).toBe(50_000_000 - 3 * COST);
    await shop.check();
  });

  it('signs in on EVM for what it paid before', async () => {
    await using shop = await startApp();
    const account = newWallet();
    await grant(shop, 'eip155', account.address.toLowerCase());
    const signedFetch = wrapFetchWithSIWx(fetch, account);
    for (const path of ['/v1/chat/completions', '/api/v1/chat/completions']) {
      expect((await signedFetch(shop.url + path, request())).status).toBe(200);
    }
  });

  it('signs in on Solana for what it paid before', async () => {
    await using shop = await startApp({
      // The client signs for the first network that is offered.
      change: ({ payments }) => {
        payments.networks = payments.networks.filter(({ network }) => network === PLAY_SOLANA);
      },
    });
    const signer = await createKeyPairSignerFromPrivateKeyBytes(randomBytes(32));
    await grant(shop, 'solana', signer.address);
    // Its declared signer is a little narrower than kit's own.
    const signedFetch = wrapFetchWithSIWx(fetch, signer as never);
    const answer = await signedFetch(`${shop.url}/v1/chat/completions`, request());
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-balance-remaining')).toBe('0.999985');
  });
});
