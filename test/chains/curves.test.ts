import { randomBytes } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1';
import nacl from 'tweetnacl';
import { hashMessage, hexToBytes, recoverMessageAddress } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { isSmallOrder, verifyEd25519 } from '../../src/chains/ed25519.ts';
import {
  recoverAddress,
  recoverMessageSigner,
  recoverPlain,
  secp256k1Engine,
} from '../../src/chains/secp256k1.ts';

const ORDER = secp256k1.CURVE.n;

describe('secp256k1', () => {
  it('says which engine runs', () => {
    expect(['native', 'viem']).toContain(secp256k1Engine());
  });

  it('recovers what viem recovers, with either engine, whatever way v is written', async () => {
    for (let round = 0; round < 50; round += 1) {
      const account = privateKeyToAccount(generatePrivateKey());
      const message = randomBytes(20).toString('hex');
      const signature = await account.signMessage({ message });
      const expected = await recoverMessageAddress({ message, signature });
      expect(recoverMessageSigner(message, signature)).toBe(expected.toLowerCase());
      const bytes = hexToBytes(signature);
      const hash = hashMessage(message, 'bytes');
      const low = Uint8Array.from(bytes);
      low[64]! -= 27;
      expect(recoverAddress(hash, low)).toBe(expected.toLowerCase());
      const point = recoverPlain(hash, bytes.subarray(0, 64), bytes[64]! - 27);
      expect(Buffer.from(point).toString('hex')).toBe(
        secp256k1.ProjectivePoint.fromHex(account.publicKey.slice(2)).toHex(false),
      );
    }
  });

  it('refuses the high-s twin, compact, zero and wrong-length signatures (K-7)', async () => {
    const account = privateKeyToAccount(generatePrivateKey());
    const hash = hashMessage('hello', 'bytes');
    const signature = hexToBytes(await account.signMessage({ message: 'hello' }));
    expect(recoverAddress(hash, signature)).toBe(account.address.toLowerCase());
    const s = BigInt(`0x${Buffer.from(signature.subarray(32, 64)).toString('hex')}`);
    const twin = Buffer.from(signature);
    Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex').copy(twin, 32);
    twin[64] = signature[64] === 27 ? 28 : 27;
    expect(recoverAddress(hash, twin)).toBeNull();
    expect(recoverAddress(hash, signature.subarray(0, 64))).toBeNull();
    expect(recoverAddress(hash, Buffer.concat([signature, Buffer.alloc(1)]))).toBeNull();
    for (const v of [2, 3, 26, 29, 35, 255]) {
      const odd = Uint8Array.from(signature);
      odd[64] = v;
      expect(recoverAddress(hash, odd)).toBeNull();
    }
    const zeroR = Uint8Array.from(signature).fill(0, 0, 32);
    expect(recoverAddress(hash, zeroR)).toBeNull();
    expect(recoverAddress(hash, new Uint8Array(65))).toBeNull();
    expect(recoverAddress(hash.subarray(1), signature)).toBeNull();
  });
});

const IDENTITY_SIGNATURE = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
const SMALL = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  `${'00'.repeat(31)}80`,
  `01${'00'.repeat(30)}80`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  `ec${'ff'.repeat(30)}7f`,
  `ec${'ff'.repeat(31)}`,
  `ed${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(31)}`,
  `ee${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(31)}`,
].map((hex) => Buffer.from(hex, 'hex'));

describe('Ed25519', () => {
  it('refuses every encoding of a small-order key, for which anybody can sign (K-8)', () => {
    let forgedElsewhere = 0;
    for (const key of SMALL) {
      expect(isSmallOrder(key)).toBe(true);
      for (let round = 0; round < 16; round += 1) {
        const text = randomBytes(32);
        expect(verifyEd25519(key, text, IDENTITY_SIGNATURE)).toBe(false);
        if (nacl.sign.detached.verify(text, IDENTITY_SIGNATURE, key)) forgedElsewhere += 1;
      }
    }
    // The forgery is real: another library takes it.
    expect(forgedElsewhere).toBeGreaterThan(0);
  });

  it('refuses the malleated twin S + L that another library takes (K-8)', () => {
    const pair = nacl.sign.keyPair();
    const text = Buffer.from('hello');
    const signature = nacl.sign.detached(text, pair.secretKey);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`);
    const twin = Buffer.from(signature);
    Buffer.from((s + order).toString(16).padStart(64, '0'), 'hex')
      .reverse()
      .copy(twin, 32);
    expect(verifyEd25519(pair.publicKey, text, signature)).toBe(true);
    expect(verifyEd25519(pair.publicKey, text, twin)).toBe(false);
  });

  it('refuses wrong lengths and keys off the curve without throwing (K-8)', () => {
    const pair = nacl.sign.keyPair();
    const signature = nacl.sign.detached(Buffer.from('x'), pair.secretKey);
    expect(verifyEd25519(pair.publicKey.subarray(1), Buffer.from('x'), signature)).toBe(false);
    expect(verifyEd25519(pair.publicKey, Buffer.from('x'), signature.subarray(1))).toBe(false);
    expect(verifyEd25519(Buffer.alloc(32, 0x55), Buffer.from('x'), signature)).toBe(false);
  });

  it('does not take ordinary keys for small-order ones', () => {
    for (let round = 0; round < 100; round += 1) {
      expect(isSmallOrder(nacl.sign.keyPair().publicKey)).toBe(false);
    }
  });
});
