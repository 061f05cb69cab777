import { describe, expect, it } from 'vitest';
import {
  appendPaymentIdentifierToExtensions,
  declarePaymentIdentifierExtension,
} from '@x402/extensions';
import { AppError } from '../../src/errors.ts';
import { readPaymentHeader } from '../../src/payments/header.ts';
import { encodeHeader, evmNetwork, paymentHeader } from '../support/evm-payment.ts';

const network = evmNetwork({ kind: 'sandbox' }, null);
const payload = { signature: '0x', authorization: {} };

function read(value: string, name = 'PAYMENT-SIGNATURE') {
  return readPaymentHeader([{ name, value }]);
}

function reasonOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_payment')
      return error.details?.['reason'];
    throw error;
  }
  throw new Error('it was taken');
}

describe('a payment header', () => {
  it.each(['v1', 'v2', 'hybrid'] as const)(
    'is read in the %s dialect, told by its shape',
    (dialect) => {
      for (const name of ['PAYMENT-SIGNATURE', 'X-PAYMENT', 'X-402-Payment']) {
        expect(read(paymentHeader(dialect, network, payload), name)).toEqual({
          network: 'eip155:8453',
          payload,
          dialect,
          header: name.toLowerCase(),
          identifier: null,
        });
      }
    },
  );

  it('is read as the Venice client writes it', () => {
    const venice = {
      x402Version: 2,
      scheme: 'exact',
      network: 'base',
      payload: { signature: '0x98', authorization: { from: '0x19E7', value: '10000000' } },
    };
    expect(read(encodeHeader(venice), 'x-402-payment')).toMatchObject({
      network: 'eip155:8453',
      dialect: 'hybrid',
      payload: venice.payload,
    });
  });

  it.each([
    ['base', 'eip155:8453'],
    ['base-sepolia', 'eip155:84532'],
    ['solana', 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp'],
    ['solana-devnet', 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'],
    ['eip155:10', 'eip155:10'],
  ])('names the network %s as %s', (name, caip2) => {
    const v1 = { x402Version: 1, scheme: 'exact', network: name, payload };
    expect(read(encodeHeader(v1)).network).toBe(caip2);
  });

  it('keeps nothing of the amounts, recipients and assets that a client copied (P-10)', () => {
    const v2 = {
      x402Version: 2,
      accepted: {
        scheme: 'exact',
        network: 'eip155:8453',
        amount: '1',
        payTo: '0xevil',
        asset: '0xevil',
      },
      payload,
    };
    expect(JSON.stringify(read(encodeHeader(v2)))).not.toContain('evil');
  });

  it.each([
    [
      'an unknown name',
      { x402Version: 1, scheme: 'exact', network: 'dogechain', payload },
      'network',
    ],
    [
      'a scheme that is not offered',
      { x402Version: 2, scheme: 'upto', network: 'base', payload },
      'scheme',
    ],
    ['no scheme', { x402Version: 2, network: 'base', payload }, 'shape'],
    ['no payload', { x402Version: 2, scheme: 'exact', network: 'base' }, 'shape'],
    [
      'a payload of text',
      { x402Version: 2, scheme: 'exact', network: 'base', payload: 'x' },
      'shape',
    ],
    ['accepted that is no object', { x402Version: 2, accepted: [], payload }, 'shape'],
    ['version 3', { x402Version: 3, scheme: 'exact', network: 'base', payload }, 'version'],
    ['version "2"', { x402Version: '2', scheme: 'exact', network: 'base', payload }, 'version'],
    [
      'a prototype',
      { x402Version: 2, __proto__: { scheme: 'exact', network: 'base', payload } },
      'shape',
    ],
  ])('is refused with %s', (_, object, reason) => {
    expect(reasonOf(() => read(encodeHeader(object)))).toBe(reason);
  });

  it.each([
    ['blank', ''],
    ['not base64', 'not base64!'],
    ['base64url', Buffer.from('{"a":"ÿÿÿ>>>???"}').toString('base64url')],
    ['unpadded', Buffer.from('{"a":1}').toString('base64').replace(/=+$/, '')],
    ['two values joined by a proxy', 'e30=, e30='],
    ['not JSON', Buffer.from('{"a":').toString('base64')],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64')],
    ['a list', encodeHeader([1])],
    ['null', encodeHeader(null)],
  ])('is refused when it is %s', (_, value) => {
    expect(reasonOf(() => read(value))).toBe('malformed_header');
  });

  it('is refused above 8 KiB, and deep nesting below that does no harm', () => {
    expect(reasonOf(() => read('A'.repeat(8_196)))).toBe('too_large');
    const deep = `{"a":${'['.repeat(3_000)}${']'.repeat(3_000)}}`;
    expect(reasonOf(() => read(Buffer.from(deep).toString('base64')))).toBe('version');
  });

  it('is taken once when it came twice, and refused when two differ (P-1)', () => {
    const value = paymentHeader('v2', network, payload);
    const twice = [
      { name: 'PAYMENT-SIGNATURE', value },
      { name: 'X-PAYMENT', value },
    ];
    expect(readPaymentHeader(twice).header).toBe('payment-signature');
    const other = [
      ...twice,
      { name: 'X-402-Payment', value: paymentHeader('v1', network, payload) },
    ];
    expect(reasonOf(() => readPaymentHeader(other))).toBe('duplicate_header');
  });
});

describe('a payment identifier', () => {
  const send = (extensions: unknown) =>
    read(paymentHeader('v2', network, payload, { extensions })).identifier;

  it('is read where the stock client puts it', () => {
    const extensions = { 'payment-identifier': declarePaymentIdentifierExtension() };
    appendPaymentIdentifierToExtensions(extensions, 'pay_0123456789abcdef');
    expect(send(extensions)).toBe('pay_0123456789abcdef');
  });

  it('is absent when the client only echoes our declaration', () => {
    expect(send({ 'payment-identifier': declarePaymentIdentifierExtension() })).toBeNull();
    expect(send({})).toBeNull();
    expect(send('text')).toBeNull();
  });

  it.each(['short', 'x'.repeat(129), 'with space in the text', 7])('is refused as %j', (id) => {
    expect(reasonOf(() => send({ 'payment-identifier': { info: { id } } }))).toBe(
      'payment_identifier',
    );
  });
});
