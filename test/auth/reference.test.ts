import {
  createSIWxPayload,
  encodeSIWxHeader,
  formatSIWEMessage,
  formatSIWSMessage,
} from '@x402/extensions/sign-in-with-x';
import bs58 from 'bs58';
import fc from 'fast-check';
import { SiweMessage } from 'siwe';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { formatMessage, parseMessage, type SiwxMessage } from '../../src/auth/siwx-message.ts';
import { EVM, openSiwx, ORIGIN, SOLANA_ADDRESS, BASE } from '../support/siwx.ts';

const RUNS = 2_000;
const word = fc.stringMatching(/^[A-Za-z0-9]{8,40}$/);
const statement = fc.option(
  fc
    .stringMatching(/^[A-Za-z0-9 .,!?:;()'-]{1,120}$/)
    .filter((text) => text.trim() === text && !text.startsWith('URI: ')),
);
const time = fc
  .date({ min: new Date('2020-01-01'), max: new Date('2035-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());
const uri = fc.webUrl({ withQueryParameters: true, validSchemes: ['https'] });

const generated: fc.Arbitrary<SiwxMessage> = fc.record({
  domain: fc.domain(),
  address: fc.constant(EVM.address as string),
  statement,
  uri,
  version: fc.constant('1'),
  chainId: fc.integer({ min: 1, max: 10_000_000 }).map(String),
  nonce: word,
  issuedAt: time,
  expirationTime: fc.option(time),
  notBefore: fc.option(time),
  requestId: fc.option(fc.stringMatching(/^[A-Za-z0-9-]{1,30}$/)),
  resources: fc.array(uri, { maxLength: 3 }),
});

function siweOf(message: SiwxMessage): SiweMessage {
  const {
    statement: said,
    expirationTime,
    notBefore,
    requestId,
    resources,
    chainId,
    ...rest
  } = message;
  return new SiweMessage({
    ...rest,
    chainId: Number(chainId),
    ...(said === null ? {} : { statement: said }),
    ...(expirationTime === null ? {} : { expirationTime }),
    ...(notBefore === null ? {} : { notBefore }),
    ...(requestId === null ? {} : { requestId }),
    ...(resources.length ? { resources } : {}),
  });
}

describe('sign-in texts beside the references', () => {
  it(`writes and reads ${RUNS} EVM texts as siwe does, field by field`, { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(generated, (message) => {
        const theirs = siweOf(message).prepareMessage();
        expect(formatMessage('eip155', message)).toBe(theirs);
        expect(parseMessage('eip155', theirs)).toEqual(message);
        const parsed = new SiweMessage(theirs);
        expect(parsed.nonce).toBe(message.nonce);
        expect(parsed.uri).toBe(message.uri);
      }),
      { numRuns: RUNS },
    );
  });

  it(`writes and reads ${RUNS} texts of both families as @x402/extensions does`, () => {
    fc.assert(
      fc.property(generated, (message) => {
        const {
          statement: said,
          expirationTime,
          notBefore,
          requestId,
          resources,
          address,
          ...rest
        } = message;
        const info = {
          ...rest,
          ...(said === null ? {} : { statement: said }),
          ...(expirationTime === null ? {} : { expirationTime }),
          ...(notBefore === null ? {} : { notBefore }),
          ...(requestId === null ? {} : { requestId }),
          ...(resources.length ? { resources } : {}),
        };
        const evm = formatSIWEMessage(
          { ...info, chainId: `eip155:${message.chainId}`, type: 'eip191' },
          address,
        );
        expect(formatMessage('eip155', message)).toBe(evm);
        const cluster = '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
        const svm = formatSIWSMessage(
          { ...info, chainId: `solana:${cluster}`, type: 'ed25519' },
          SOLANA_ADDRESS,
        );
        const ours = { ...message, chainId: cluster, address: SOLANA_ADDRESS };
        expect(formatMessage('solana', ours)).toBe(svm);
        expect(parseMessage('solana', svm)).toEqual(ours);
      }),
      { numRuns: RUNS },
    );
  });

  it('signs in what the stock x402 client signs for our challenge', async () => {
    const { siwx } = openSiwx();
    const { info } = siwx.challenge(`${ORIGIN}/v1/chat/completions`);
    const payload = await createSIWxPayload(
      { ...info, chainId: BASE, type: 'eip191' },
      EVM,
      info.uri,
    );
    expect(await siwx.verify(encodeSIWxHeader(payload))).toMatchObject({
      address: EVM.address.toLowerCase(),
    });
  });

  it('never crashes and never signs in on 5,000 mangled headers', async () => {
    const { siwx, clock } = openSiwx();
    const { venice } = await import('../support/siwx.ts');
    const good = Buffer.from(await venice(clock), 'base64').toString();
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), async (at, byte) => {
        const bytes = Buffer.from(good);
        if (bytes[at] === byte) return;
        bytes[at] = byte;
        const result = await siwx.verify(bytes.toString('base64')).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toMatchObject({ code: 'invalid_sign_in' });
        // What was changed did not matter: case of the address, the unsigned timestamp, white space of the JSON.
        else expect(result).toMatchObject({ address: EVM.address.toLowerCase() });
      }),
      { numRuns: 5_000 },
    );
  });

  it('accepts what tweetnacl signs', async () => {
    const { verifyEd25519 } = await import('../../src/chains/ed25519.ts');
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 200 }),
        (seed, text) => {
          const pair = nacl.sign.keyPair.fromSeed(seed);
          const signature = nacl.sign.detached(text, pair.secretKey);
          expect(verifyEd25519(pair.publicKey, text, signature)).toBe(true);
          const flipped = Uint8Array.from(signature);
          flipped[40]! ^= 1;
          expect(verifyEd25519(pair.publicKey, text, flipped)).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
    expect(bs58.decode(SOLANA_ADDRESS)).toHaveLength(32);
  });
});
