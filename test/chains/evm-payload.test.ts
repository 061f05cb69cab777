import { beforeAll, describe, expect, it } from 'vitest';
import type { EvmPayload } from '../../src/chains/chain.ts';
import { decodeEvmPayment } from '../../src/chains/evm-payload.ts';
import { AppError } from '../../src/errors.ts';
import { PAY_TO, evmNetwork, newWallet, signPayment } from '../support/evm-payment.ts';

const NOW_MS = 1_795_220_615_000;
const NOW = NOW_MS / 1_000;
const network = evmNetwork({ kind: 'sandbox' }, null);
const wallet = newWallet();
const HALF_ORDER_TWICE = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
let good: EvmPayload;

beforeAll(async () => {
  good = await signPayment(wallet, network, 10_000_000n, NOW);
});

function decode(payload: unknown, nowMs = NOW_MS) {
  return decodeEvmPayment(network, payload, nowMs);
}

function refusal(payload: unknown, nowMs = NOW_MS): Record<string, unknown> {
  try {
    decode(payload, nowMs);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_payment') return error.details ?? {};
    throw error;
  }
  throw new Error('it was taken');
}

function withField(name: keyof EvmPayload['authorization'], value: unknown): unknown {
  return { ...good, authorization: { ...good.authorization, [name]: value } };
}

describe('an EVM payment', () => {
  it('is described by what was signed, in one spelling', () => {
    const payment = decode(good);
    expect(payment).toMatchObject({
      network: 'eip155:8453',
      asset: network.asset,
      payer: wallet.address.toLowerCase(),
      payTo: PAY_TO,
      amount: 10_000_000n,
      identity: good.authorization.nonce,
      validBeforeSeconds: NOW + 300,
    });
  });

  it('is the same payment in every spelling of its hex and numbers (P-1)', () => {
    const { authorization, signature } = good;
    const upper = (hex: string) => `0x${hex.slice(2).toUpperCase()}`;
    const v = Number.parseInt(signature.slice(-2), 16) - 27;
    const spellings = [
      { signature: upper(signature), authorization },
      { signature: `${signature.slice(0, -2)}0${v}`, authorization },
      { signature, authorization: { ...authorization, from: authorization.from.toLowerCase() } },
      {
        signature,
        authorization: { ...authorization, from: upper(authorization.from), to: upper(PAY_TO) },
      },
      { signature, authorization: { ...authorization, nonce: upper(authorization.nonce) } },
      {
        signature,
        authorization: { ...authorization, validAfter: `00${authorization.validAfter}` },
      },
      {
        authorization: Object.fromEntries(Object.entries(authorization).reverse()),
        signature,
        more: 1,
      },
    ];
    for (const spelling of spellings) expect(decode(spelling)).toEqual(decode(good));
  });

  it.each([
    ['hexadecimal', '0x989680'],
    ['exponent', '1e7'],
    ['1e30', `1${'0'.repeat(30)}`],
    ['zero', '0'],
    ['negative', '-5'],
    ['signed', '+5'],
    ['leading zero', '010000000'],
    ['blank', ''],
    ['padded', ' 10000000'],
    ['line feed', '10000000\n'],
    ['fraction', '10000000.5'],
    ['unicode digits', '１００００００'],
    ['a number', 10_000_000],
    ['missing', undefined],
  ])('is refused when its value is %s (P-17)', (_, value) => {
    expect(refusal(withField('value', value))).toEqual({ reason: 'value' });
  });

  it('is refused when its value is one unit off what was signed (P-10)', () => {
    expect(refusal(withField('value', '10000001'))['reason']).toBe('signature');
  });

  it.each([
    ['validAfter', '0x10', 'valid_after'],
    ['validAfter', '1795220011.5', 'valid_after'],
    ['validBefore', '', 'valid_before'],
    ['validBefore', '9'.repeat(13), 'valid_before'],
    ['nonce', '0x12', 'nonce'],
    ['nonce', `0x${'g'.repeat(64)}`, 'nonce'],
    ['from', '0x12', 'payer'],
    ['from', `0x${'0'.repeat(40)}`, 'payer'],
    ['from', PAY_TO, 'payer'],
    ['to', 'base', 'recipient'],
  ] as const)('is refused when %s is %j (P-10)', (name, value, reason) => {
    expect(refusal(withField(name, value))).toEqual({ reason });
  });

  it.each([
    ['no object', null, 'authorization'],
    ['an array', [], 'authorization'],
    ['without authorization', { signature: '0x' }, 'authorization'],
    ['a Solana payload', { transaction: 'AQ==' }, 'family'],
    ['a Permit2 payload', { permit2Authorization: {}, signature: '0x' }, 'unsupported_method'],
    ['a delegation', { delegationManager: '0x', permissionContext: '0x' }, 'unsupported_method'],
    ['inherited fields', Object.create({ authorization: {} }), 'authorization'],
  ])('is refused when the payload is %s', (_, payload, reason) => {
    expect(refusal(payload)).toEqual({ reason });
  });

  it.each([
    ['another recipient', { to: `0x${'1'.repeat(40)}` }, 'recipient'],
    ['another EIP-712 name', { name: 'USDC' }, 'signature'],
    ['another chain', { chainId: 84532 }, 'signature'],
    ['another token', { asset: `0x${'2'.repeat(40)}` }, 'signature'],
    ['a start in the future', { validAfter: String(NOW + 1) }, 'not_yet_valid'],
    ['less time than a broadcast needs', { validBefore: String(NOW + 19) }, 'expired'],
    ['an end in the past', { validBefore: String(NOW - 5) }, 'expired'],
    ['a life of more than an hour', { validBefore: String(NOW + 3_601) }, 'too_long'],
  ])('is refused when it was signed for %s (P-10)', async (_, overrides, reason) => {
    const payload = await signPayment(wallet, network, 10_000_000n, NOW, overrides);
    expect(refusal(payload)['reason']).toBe(reason);
  });

  it('is still recognisable after it expired, so that its credit can be answered again (P-2)', () => {
    expect(refusal(good, NOW_MS + 7 * 86_400_000)).toEqual({
      reason: 'expired',
      payer: wallet.address.toLowerCase(),
      identity: good.authorization.nonce,
      validBefore: NOW + 300,
    });
  });

  it('is still recognisable after payTo changed (P-19)', () => {
    const moved = { ...network, payTo: `0x${'3'.repeat(40)}` };
    const error = (() => {
      try {
        return decodeEvmPayment(moved, good, NOW_MS);
      } catch (thrown) {
        return thrown as AppError;
      }
    })();
    expect((error as AppError).details).toMatchObject({
      reason: 'recipient',
      identity: good.authorization.nonce,
    });
  });

  it('never tells anything about a payment whose signature is wrong', () => {
    const forged = {
      ...good,
      authorization: { ...good.authorization, validBefore: String(NOW - 5) },
    };
    expect(refusal(forged)).toEqual({ reason: 'signature' });
  });

  it('is refused with a malleated signature, which the token refuses too', () => {
    const s = BigInt(`0x${good.signature.slice(66, 130)}`);
    const twin = (HALF_ORDER_TWICE - s).toString(16).padStart(64, '0');
    const v = good.signature.endsWith('1b') ? '1c' : '1b';
    expect(refusal({ ...good, signature: `${good.signature.slice(0, 66)}${twin}${v}` })).toEqual({
      reason: 'signature',
    });
  });

  it.each([
    [
      'by another wallet',
      'signature',
      (s: string) => `${s.slice(0, 10)}${s[10] === '0' ? '1' : '0'}${s.slice(11)}`,
    ],
    ['with v = 29', 'signature', (s: string) => `${s.slice(0, -2)}1d`],
    ['without hex', 'signature', () => 'signed'],
    ['of zeros', 'signature', () => `0x${'0'.repeat(130)}`],
    ['in the compact form', 'contract_wallet', (s: string) => s.slice(0, 130)],
    [
      'of a contract wallet (ERC-6492)',
      'contract_wallet',
      (s: string) => `${s}${'6492'.repeat(16)}`,
    ],
    ['left empty', 'contract_wallet', () => '0x'],
  ])('is refused with a signature %s', (_, reason, change) => {
    expect(refusal({ ...good, signature: change(good.signature) })).toEqual({ reason });
  });

  it("is taken on Base Sepolia under that token's own name", async () => {
    const sepolia = evmNetwork({ kind: 'sandbox' }, null, { network: 'eip155:84532' });
    const payload = await signPayment(wallet, sepolia, 1n, NOW);
    expect(decodeEvmPayment(sepolia, payload, NOW_MS).amount).toBe(1n);
    expect(refusal(payload)['reason']).toBe('signature');
  });
});
