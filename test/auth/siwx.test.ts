import bs58 from 'bs58';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { formatMessage } from '../../src/auth/siwx-message.ts';
import {
  EVM,
  encode,
  message,
  openSiwx,
  ORIGIN,
  SOLANA,
  SOLANA_ADDRESS,
  solana,
  solanaMessage,
  venice,
  veniceText,
} from '../support/siwx.ts';

const EVM_WALLET = { family: 'eip155', chain: '', address: EVM.address.toLowerCase() };
const SOLANA_WALLET = { family: 'solana', chain: '', address: SOLANA_ADDRESS };
const reason = (why: string) => ({ code: 'invalid_sign_in', details: { reason: why } });

describe('sign-in', () => {
  it('takes both header forms of both families', async () => {
    const { siwx, clock } = openSiwx();
    expect(await siwx.verify(await venice(clock))).toEqual(EVM_WALLET);
    expect(await siwx.verify(solana(clock))).toEqual(SOLANA_WALLET);
    const fields = message(clock, { requestId: 'r1', resources: ['https://a.example/b'] });
    const signature = await EVM.signMessage({ message: formatMessage('eip155', fields) });
    const { statement, uri, version, nonce, issuedAt, domain, address, requestId, resources } =
      fields;
    const flat = {
      statement,
      uri,
      version,
      nonce,
      issuedAt,
      domain,
      address,
      requestId,
      resources,
    };
    const x402 = { ...flat, chainId: 'eip155:8453', type: 'eip191', signature };
    expect(await siwx.verify(encode(x402))).toEqual(EVM_WALLET);
  });

  it('takes a Solana signature in base58 or base64, and the clusters that wallets write', async () => {
    const { siwx, clock } = openSiwx();
    for (const chainId of [
      'mainnet',
      '101',
      'solana:mainnet',
      'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp',
    ]) {
      const text = formatMessage('solana', solanaMessage(clock, { chainId }));
      const signature = Buffer.from(nacl.sign.detached(Buffer.from(text), SOLANA.secretKey));
      const header = solana(clock, {}, { message: text, signature: signature.toString('base64') });
      expect(await siwx.verify(header)).toEqual(SOLANA_WALLET);
    }
  });

  it('takes lower-case addresses, a scheme before the domain, blank lines and offsets as wallets write them', async () => {
    const { siwx, clock } = openSiwx();
    const text = formatMessage('eip155', message(clock, { statement: null }));
    for (const variant of [
      text.replace(EVM.address, EVM.address.toLowerCase()),
      `https://${text}`,
      text.replace('\n\n\nURI', '\n\nURI'),
      text.replace('\n\n\nURI', '\nURI'),
      text.replace(/Z$/, '123+00:00'),
    ]) {
      const fresh = variant.replace(
        /Nonce: \w+/,
        `Nonce: ${Math.random().toString(36).slice(2)}abcdefgh`,
      );
      expect(await siwx.verify(await veniceText(fresh))).toEqual(EVM_WALLET);
    }
  });

  it('lets a text sign in once, and a stranger never use up its nonce (K-1)', async () => {
    const { siwx, clock, nonces } = openSiwx();
    const header = await venice(clock);
    const forged = JSON.parse(Buffer.from(header, 'base64').toString()) as { signature: string };
    forged.signature = await EVM.signMessage({ message: 'something else' });
    await expect(siwx.verify(encode(forged))).rejects.toMatchObject(reason('signature'));
    expect(nonces.size).toBe(0);
    const uses = await Promise.allSettled(Array.from({ length: 10 }, () => siwx.verify(header)));
    expect(uses.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(siwx.verify(header)).rejects.toMatchObject(reason('nonce_already_used'));
  });

  it('lets a text sign in until it expires in session mode', async () => {
    const { siwx, clock } = openSiwx({
      siwx: { replay: 'session', maxAgeSeconds: 300, extraDomains: [] },
    });
    const header = await venice(clock);
    for (let use = 0; use < 3; use += 1) expect(await siwx.verify(header)).toEqual(EVM_WALLET);
    clock.ms += 331_000;
    await expect(siwx.verify(header)).rejects.toMatchObject(reason('issued_at_too_old'));
  });

  it.each([
    { domain: 'evil.example' },
    { domain: 'gw.example.com.evil.example' },
    { domain: 'gw.example.com.' },
    { domain: 'gw.example.com:8443' },
    { domain: 'xn--gw-example.com' },
    { domain: 'api.venice.ai' },
  ])('refuses the domain of another service: $domain (K-2, K-3)', async (changes) => {
    const { siwx, clock } = openSiwx();
    await expect(siwx.verify(await venice(clock, changes))).rejects.toMatchObject(
      reason('domain_mismatch'),
    );
  });

  it.each([
    { uri: `${ORIGIN}.evil.example/v1` },
    { uri: 'https://gw.example.com@evil.example/' },
    { uri: 'http://gw.example.com/' },
    { uri: 'https://gw.example.com:444/' },
    { uri: 'gw.example.com' },
    { uri: 'javascript:alert(1)' },
  ])('refuses a URI of another origin: $uri (K-2)', async (changes) => {
    const { siwx, clock } = openSiwx();
    await expect(siwx.verify(await venice(clock, changes))).rejects.toMatchObject(
      reason('uri_mismatch'),
    );
  });

  it.each<[string, (text: string) => string]>([
    ['a carriage return', (text) => text.replace('\nURI', '\r\nURI')],
    ['a trailing line', (text) => `${text}\nRole: admin`],
    ['a trailing newline', (text) => `${text}\n`],
    ['a doubled field', (text) => text.replace('\nNonce', '\nNonce: aaaaaaaaaa\nNonce')],
    ['fields in another order', (text) => text.replace(/(Version: 1)\n(Chain ID: 8453)/, '$2\n$1')],
    ['a line before', (text) => `hello\n${text}`],
    [
      'a statement of two lines',
      (text) => text.replace('Sign in', 'Sign in\nURI: https://evil.example'),
    ],
    ['an unknown chain word', (text) => text.replace('Ethereum', 'Bitcoin')],
    ['a huge text', (text) => text.replace('Sign in', 'x'.repeat(5_000))],
  ])('refuses %s (K-4)', async (_, change) => {
    const { siwx, clock } = openSiwx();
    const header = await veniceText(change(formatMessage('eip155', message(clock))));
    await expect(siwx.verify(header)).rejects.toMatchObject(reason('malformed_message'));
  });

  it('does not let a field of the x402 form smuggle in lines (K-4)', async () => {
    const { siwx, clock } = openSiwx();
    const fields = { ...message(clock), chainId: 'eip155:8453', type: 'eip191' };
    const evil = { ...fields, statement: 'x\n\nURI: https://gw.example.com\nVersion: 1' };
    const signature = await EVM.signMessage({
      message: formatMessage('eip155', { ...evil, chainId: '8453' }),
    });
    await expect(siwx.verify(encode({ ...evil, signature }))).rejects.toMatchObject(
      reason('malformed_message'),
    );
  });

  it.each<[Record<string, unknown>, string]>([
    [{ chainId: 1 }, 'chain_id'],
    [{ chainId: 'eip155:84532' }, 'chain_id'],
    [{ address: `0x${'22'.repeat(20)}` }, 'address'],
    [{ address: SOLANA_ADDRESS }, 'malformed_message'],
    [{ type: 'ed25519' }, 'address'],
    [{ message: undefined }, 'malformed_header'],
    [{ signature: '0x12' }, 'signature'],
    [{ signature: 'zz' }, 'malformed_signature'],
    [{ signature: 5 }, 'malformed_signature'],
  ])(
    'refuses wrapper fields that differ from what was signed: %j (K-4, K-5)',
    async (fields, why) => {
      const { siwx, clock } = openSiwx();
      const header = JSON.parse(Buffer.from(await venice(clock), 'base64').toString()) as object;
      const merged = { ...header, ...fields };
      const code = why === 'signature' ? /signature|smart_wallet/ : new RegExp(why);
      await expect(siwx.verify(encode(merged))).rejects.toSatisfy(
        (error: { details: { reason: string } }) => code.test(error.details.reason),
      );
    },
  );

  it('refuses chains that are not configured (K-5)', async () => {
    const { siwx, clock } = openSiwx();
    const header = await venice(clock, { chainId: '84532' }, { chainId: 84532 });
    await expect(siwx.verify(header)).rejects.toMatchObject(reason('unsupported_chain'));
    const devnet = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
    await expect(
      siwx.verify(solana(clock, { chainId: devnet }, { chainId: `solana:${devnet}` })),
    ).rejects.toMatchObject(reason('unsupported_chain'));
  });

  it('takes a clock within its bounds and says the time to others (K-15)', async () => {
    const { siwx, clock } = openSiwx();
    const at = (ms: number) => ({ issuedAt: new Date(clock.ms + ms).toISOString() });
    expect(await siwx.verify(await venice(clock, at(59_000)))).toEqual(EVM_WALLET);
    expect(await siwx.verify(await venice(clock, at(-329_000)))).toEqual(EVM_WALLET);
    const serverTime = new Date(clock.ms).toISOString();
    await expect(siwx.verify(await venice(clock, at(600_000)))).rejects.toMatchObject({
      details: { reason: 'issued_at_in_future', serverTime },
    });
    await expect(siwx.verify(await venice(clock, at(-600_000)))).rejects.toMatchObject({
      details: { reason: 'issued_at_too_old', serverTime },
    });
  });

  it('bounds a sign-in to its window whatever it says of its end (K-16)', async () => {
    const { siwx, clock } = openSiwx();
    const far = { expirationTime: '2036-01-01T00:00:00Z' };
    const header = await venice(clock, far);
    clock.ms += 331_000;
    await expect(siwx.verify(header)).rejects.toMatchObject(reason('issued_at_too_old'));
    const at = (ms: number) => new Date(clock.ms + ms).toISOString();
    for (const [changes, why] of [
      [{ expirationTime: at(-1) }, 'expiration_time'],
      [{ issuedAt: at(-5_000), expirationTime: at(-1_000) }, 'expired'],
      [{ expirationTime: 'never' }, 'expiration_time'],
      [{ notBefore: at(120_000) }, 'not_yet_valid'],
      [{ issuedAt: 'yesterday' }, 'issued_at'],
      [{ issuedAt: '2026-11-21' }, 'issued_at'],
      [{ nonce: 'short' }, 'nonce'],
      [{ nonce: 'has:colons:in:it' }, 'nonce'],
      [{ version: '2' }, 'version'],
    ] as const) {
      await expect(siwx.verify(await venice(clock, changes))).rejects.toMatchObject(reason(why));
    }
  });

  it.each([
    ['', 'malformed_header'],
    ['not base64!', 'malformed_header'],
    [encode('null'), 'malformed_header'],
    [encode('[1]'), 'malformed_header'],
    [encode('{"a":1'), 'malformed_header'],
    [Buffer.from([0xff, 0xfe]).toString('base64'), 'malformed_header'],
    ['A'.repeat(9_000), 'malformed_header'],
    [
      encode({ message: 'x', __proto__: null, address: '0x', signature: '0x' }),
      'malformed_message',
    ],
  ])('answers %j with a reason, never a crash', async (header, why) => {
    const { siwx } = openSiwx();
    await expect(siwx.verify(header)).rejects.toMatchObject(reason(why));
  });

  it('challenges with a fresh nonce for exactly the resource', () => {
    const { siwx, clock } = openSiwx();
    const first = siwx.challenge(`${ORIGIN}/v1/chat/completions`);
    expect(first.info).toMatchObject({
      domain: 'gw.example.com',
      uri: `${ORIGIN}/v1/chat/completions`,
      version: '1',
      issuedAt: new Date(clock.ms).toISOString(),
    });
    expect(first.info.nonce).toMatch(/^[0-9a-f]{32}$/);
    expect(siwx.challenge(ORIGIN).info.nonce).not.toBe(first.info.nonce);
    expect(first.supportedChains.map(({ type }) => type)).toEqual(['eip191', 'ed25519']);
  });

  it('takes what its own challenge asks for', async () => {
    const { siwx } = openSiwx();
    const { info } = siwx.challenge(`${ORIGIN}/v1/chat/completions`);
    const fields = {
      ...info,
      address: EVM.address,
      notBefore: null,
      requestId: null,
      resources: [],
    };
    const text = formatMessage('eip155', { ...fields, chainId: '8453' });
    const signature = await EVM.signMessage({ message: text });
    const header = encode({
      ...info,
      address: EVM.address,
      chainId: 'eip155:8453',
      type: 'eip191',
      signature,
    });
    expect(await siwx.verify(header)).toEqual(EVM_WALLET);
  });

  it('keeps the address of a Solana wallet as it is written', async () => {
    const { siwx, clock } = openSiwx();
    const { address } = await siwx.verify(solana(clock));
    expect(bs58.decode(address)).toEqual(SOLANA.publicKey);
  });
});
