import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EvmPayload } from '../../src/chains/chain.ts';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import { parseUsd } from '../../src/money.ts';
import { newWallet, signPayment } from '../support/evm-payment.ts';
import { solanaConfig } from '../support/solana-payments.ts';
import { cameAs, openTill, playNetwork, refusalOf, type Till } from '../support/till.ts';

const NETWORK = playNetwork();
const FIVE = 5_000_000n;
const DOLLARS = (text: string) => parseUsd(text);

let till: Till;
beforeEach(async () => {
  till = await openTill({ networks: [NETWORK] });
});
afterEach(() => till[Symbol.asyncDispose]());

function sign(wallet = newWallet(), units = FIVE): Promise<EvmPayload> {
  return signPayment(wallet, NETWORK, units, Math.floor(till.clock.nowMs() / 1_000));
}

/** The same payment in other words: hex case, order of members, zeros before numbers, v as 0 or 1. */
function spellings(payload: EvmPayload): unknown[] {
  const { signature, authorization } = payload;
  const { from, to, value, validAfter, validBefore, nonce } = authorization;
  const upper = (hex: string) => `0x${hex.slice(2).toUpperCase()}`;
  const parity = Number.parseInt(signature.slice(-2), 16) - 27;
  return [
    payload,
    { authorization: { nonce, validBefore, validAfter, value, to, from }, signature },
    { signature, authorization: { ...authorization, nonce: upper(nonce) } },
    { signature: upper(signature), authorization: { ...authorization, from: upper(from) } },
    { signature: `${signature.slice(0, -2)}0${parity}`, authorization },
    { signature, authorization: { ...authorization, to: upper(to), validAfter: `0${validAfter}` } },
    { signature, authorization: { ...authorization, validBefore: `00${validBefore}`, more: 1 } },
  ];
}

describe('a payment', () => {
  it('is credited to the wallet that signed it, before it is answered', async () => {
    const wallet = newWallet();
    const deposited = await till.payments.deposit(cameAs(NETWORK, await sign(wallet)));
    const address = wallet.address.toLowerCase();
    expect(deposited).toMatchObject({
      payer: address,
      wallet: { family: 'eip155', address, chain: '' },
      network: 'eip155:84532',
      credited: 5_000_000_000,
      balance: { posted: 5_000_000_000, held: 0 },
      wasReplayed: false,
    });
    expect(deposited.settleResponse).toEqual({
      success: true,
      payer: address,
      transaction: deposited.transaction,
      network: 'eip155:84532',
      amount: '5000000',
    });
    expect(await till.store.available(deposited.accountId)).toBe(5_000_000_000);
    const entry = { kind: 'DEPOSIT', ref: deposited.paymentId, amount: 5_000_000_000 };
    expect(await till.entries()).toEqual([entry]);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('is one credit when it is sent 56 times at once in every spelling and dialect (P-1)', async () => {
    const payload = await sign();
    const headers = spellings(payload).flatMap((spelling) =>
      (['v1', 'v2', 'hybrid', 'v2'] as const).map((dialect) => cameAs(NETWORK, spelling, dialect)),
    );
    const answers = await Promise.all(
      [...headers, ...headers].map((header) => till.payments.deposit(header)),
    );
    expect(answers).toHaveLength(56);
    expect(new Set(answers.map(({ paymentId }) => paymentId)).size).toBe(1);
    expect(new Set(answers.map(({ transaction }) => transaction)).size).toBe(1);
    expect(answers.filter(({ wasReplayed }) => !wasReplayed)).toHaveLength(1);
    expect(answers.every(({ balance }) => balance.posted === 5_000_000_000)).toBe(true);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('is answered the same after a restart, after it expired and after a week, with the balance of then (P-2)', async () => {
    const wallet = newWallet();
    const payload = await sign(wallet);
    const first = await till.payments.deposit(cameAs(NETWORK, payload));
    await till.payments.deposit(cameAs(NETWORK, await sign(wallet)));
    till = await till.restart();
    for (const days of [0, 7]) {
      till.clock.ms += days * 86_400_000;
      const again = await till.payments.deposit(cameAs(NETWORK, payload, 'hybrid'));
      const balance = { posted: 10_000_000_000, held: 0 };
      expect(again).toEqual({ ...first, balance, wasReplayed: true });
    }
    expect(await till.deposits()).toEqual([5_000_000, 5_000_000]);
  });

  it('is not taken as paid by a stranger who changes a word of it (P-8)', async () => {
    const payload = await sign();
    const thief = newWallet().address;
    const forged = { ...payload, authorization: { ...payload.authorization, from: thief } };
    const refused = await refusalOf(till.payments.deposit(cameAs(NETWORK, forged)));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'signature' } });
    expect(await till.deposits()).toEqual([]);
  });

  it('conflicts with another that its payer signed with the same nonce', async () => {
    const wallet = newWallet();
    const first = await sign(wallet);
    const { paymentId } = await till.payments.deposit(cameAs(NETWORK, first));
    const nonce = first.authorization.nonce as `0x${string}`;
    const now = Math.floor(till.clock.nowMs() / 1_000);
    const other = await signPayment(wallet, NETWORK, 9_000_000n, now, { nonce });
    const refused = await refusalOf(till.payments.deposit(cameAs(NETWORK, other)));
    expect(refused).toMatchObject({ code: 'payment_conflict', details: { paymentId } });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('credits a hundred wallets that pay at once, each its own', async () => {
    const payloads = await Promise.all(
      Array.from({ length: 100 }, (_, n) => sign(newWallet(), BigInt(n + 1) * 1_000_000n)),
    );
    const answers = await Promise.all(
      payloads.map((payload) => till.payments.deposit(cameAs(NETWORK, payload))),
    );
    expect(new Set(answers.map(({ accountId }) => accountId)).size).toBe(100);
    expect(answers.map(({ balance }) => balance.posted / 1e9)).toEqual(
      answers.map((_, n) => n + 1),
    );
    expect(await till.deposits()).toHaveLength(100);
  });
});

describe('the amount of a payment', () => {
  it.each([
    ['999999', '1.00'],
    ['10000000001', '10000.00'],
    ['999999999999999', '10000.00'],
  ])('of %s units is refused before settling, naming the range (P-17)', async (units, bound) => {
    const payload = await sign(newWallet(), BigInt(units));
    const refused = await refusalOf(till.payments.deposit(cameAs(NETWORK, payload)));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'amount' } });
    expect(refused.message).toContain(`$${bound}`);
    expect(await till.store.ledger.read.selectFrom('payments').selectAll().execute()).toEqual([]);
  });

  it('may be as small as the inline minimum when it pays for a request', async () => {
    const payload = await sign(newWallet(), 50_000n);
    const minimum = DOLLARS('0.05');
    const { credited } = await till.payments.deposit(cameAs(NETWORK, payload), { minimum });
    expect(credited).toBe(50_000_000);
    const less = cameAs(NETWORK, await sign(newWallet(), 49_999n));
    const refused = await refusalOf(till.payments.deposit(less, { minimum }));
    expect(refused.message).toContain('$0.05');
    expect(await till.deposits()).toEqual([50_000]);
  });
});

describe('a payment that fails', () => {
  it('is a 400 and not a 402, moves nothing, and may be sent again once the wallet has the money', async () => {
    const wallet = newWallet();
    const big = await sign(wallet, 600_000_000n);
    await till.payments.deposit(cameAs(NETWORK, await sign(wallet, 600_000_000n)));
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = await refusalOf(till.payments.deposit(cameAs(NETWORK, big)));
      expect(refused).toMatchObject({
        code: 'payment_verification_failed',
        details: { reason: 'insufficient_funds' },
      });
    }
    const statuses = await till.store.ledger.read.selectFrom('payments').select('state').execute();
    expect(statuses.map(({ state }) => state).toSorted()).toEqual(['failed', 'settled']);
    expect(await till.deposits()).toEqual([600_000_000]);
  });

  it('that pays for a request serves the one it is tried with again', async () => {
    const wallet = newWallet();
    await till.payments.deposit(cameAs(NETWORK, await sign(wallet, 1_000_000_000n)));
    const header = cameAs(NETWORK, await sign(wallet));
    await refusalOf(till.payments.deposit(header, { claim: 'first' }));
    await refusalOf(till.payments.deposit(header, { claim: 'second' }));
    const row = await till.store.ledger.read
      .selectFrom('payments')
      .select('claim')
      .where('state', '=', 'failed')
      .executeTakeFirstOrThrow();
    expect(row.claim).toBe('second');
  });
});

describe('what a payment came for', () => {
  it('is kept from its first appearance and told to all that come later', async () => {
    const header = cameAs(NETWORK, await sign());
    const answers = [];
    for (const claim of ['a', 'b']) answers.push(await till.payments.deposit(header, { claim }));
    answers.push(await till.payments.deposit(header));
    expect(answers.map(({ claim }) => claim)).toEqual(['a', 'a', 'a']);
  });
});

describe('a payment-identifier', () => {
  const identified = (payload: unknown, id = 'order-0123456789abcdef') =>
    cameAs(NETWORK, payload, 'v2', { extensions: { 'payment-identifier': { info: { id } } } });

  it('answers the same payment again and refuses another one with it, before settling', async () => {
    const wallet = newWallet();
    const payload = await sign(wallet);
    const first = await till.payments.deposit(identified(payload));
    const again = await till.payments.deposit(identified(payload));
    expect(again).toEqual({ ...first, wasReplayed: true });
    const other = identified(await sign(wallet));
    const refused = await refusalOf(till.payments.deposit(other));
    const details = { paymentId: first.paymentId, reason: 'payment_identifier' };
    expect(refused).toMatchObject({ code: 'payment_conflict', details });
    expect(await till.deposits()).toEqual([5_000_000]);
    const count = await till.store.ledger.read.selectFrom('payments').select('id').execute();
    expect(count).toHaveLength(1);
  });

  it('lets one of two that come at once through', async () => {
    const wallet = newWallet();
    const both = await Promise.all([sign(wallet), sign(wallet)]);
    const ends = await Promise.allSettled(both.map((it) => till.payments.deposit(identified(it))));
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('belongs to its payer, is given up by a payment that moved nothing, and is forgotten after a day', async () => {
    const [rich, poor] = [newWallet(), newWallet()];
    await till.payments.deposit(identified(await sign(rich)));
    await till.payments.deposit(identified(await sign(poor), 'other-0123456789abcdef'));
    await refusalOf(till.payments.deposit(identified(await sign(poor, 9_000_000_000n))));
    await till.payments.deposit(identified(await sign(poor)));
    till.clock.ms += 86_400_000;
    await till.payments.deposit(identified(await sign(rich)));
    expect(await till.deposits()).toHaveLength(4);
    till.clock.ms += 86_400_000 + 3_600_000;
    await till.payments.reconcile();
    const kept = await till.store.ledger.read
      .selectFrom('payment_identifiers')
      .selectAll()
      .execute();
    expect(kept).toEqual([]);
  });
});

describe('the status of a payment', () => {
  it('is told to its payer, and to nobody else that it exists (P-3, P-8)', async () => {
    const deposited = await till.payments.deposit(cameAs(NETWORK, await sign()));
    const { paymentId, payer, wallet } = deposited;
    const status = await till.payments.status(paymentId, wallet);
    expect(status).toEqual({
      id: paymentId,
      status: 'settled',
      network: 'eip155:84532',
      payer,
      amountUsd: '5.00',
      transaction: deposited.transaction,
      reason: null,
      createdAt: expect.stringMatching(/^20.*Z$/),
      settledAt: expect.stringMatching(/^20.*Z$/),
    });
    const strangers = [
      { ...wallet, address: newWallet().address.toLowerCase() },
      { ...wallet, chain: 'eip155:84532' },
      { ...wallet, family: 'solana' as const },
    ];
    const unknown = await refusalOf(till.payments.status('pay_0', wallet));
    for (const stranger of strangers) {
      const refused = await refusalOf(till.payments.status(paymentId, stranger));
      expect(refused).toEqual(unknown);
      expect(refused.code).toBe('not_found');
    }
  });
});

describe('requirements', () => {
  it('ask for the amount in USDC units, rounded up, on Base first', async () => {
    const solana = KNOWN_NETWORKS.get('solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1')!;
    const cluster = { url: null, network: 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1' };
    const shop = '9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM';
    await using all = await openTill({
      networks: [
        solanaConfig(cluster, shop, { kind: 'sandbox' }),
        playNetwork({ network: 'eip155:80002' }),
        NETWORK,
      ],
    });
    const list = all.payments.requirements(parseUsd('0.0500001'));
    expect(list.map(({ network }) => network)).toEqual([
      'eip155:84532',
      'eip155:80002',
      'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
    ]);
    expect(list.map(({ amount }) => amount)).toEqual(['50001', '50001', '50001']);
    expect(list[2]?.asset).toBe(solana.asset);
  });

  it('leave out a network that cannot be settled on, which a payment then waits for', async () => {
    const network = {
      ...playNetwork(),
      facilitator: { kind: 'remote' as const, url: 'http://127.0.0.1:9', cdp: null },
    };
    await using down = await openTill({ networks: [network] });
    await down.payments.start();
    expect(down.payments.requirements(parseUsd('1'))).toEqual([]);
    expect(down.payments.isOffered).toBe(true);
    expect(down.lines.filter(({ event }) => event === 'rail_not_offered')).toHaveLength(1);
  });

  it('a payment on a network that is not configured names those that are (P-10)', async () => {
    const elsewhere = playNetwork({ network: 'eip155:8453' });
    const refused = await refusalOf(till.payments.deposit(cameAs(elsewhere, await sign())));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'network' } });
    expect(refused.message).toContain('eip155:84532');
  });
});
