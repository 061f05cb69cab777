import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { contractWalletVerifier } from '../../src/chains/contract-wallet.ts';
import type { NetworkConfig } from '../../src/config/config.ts';
import { BASE, EVM, openSiwx, venice } from '../support/siwx.ts';

const TRUE = `0x${'0'.repeat(63)}1`;
const CONTRACT = `0x${'ab'.repeat(20)}`;

interface Call {
  method: string;
  params: [{ gas?: string }, ...unknown[]];
}

type Answer = (call: Call, response: ServerResponse) => void;

describe('contract wallets', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  /** A node that answers as told. */
  async function node(answer: Answer): Promise<{ networks: NetworkConfig[]; calls: Call[] }> {
    const calls: Call[] = [];
    const server = createServer((request: IncomingMessage, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => {
        const call = JSON.parse(text) as Call;
        calls.push(call);
        answer(call, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const network = { network: BASE, family: 'eip155', rpcUrl: `http://127.0.0.1:${port}` };
    return { networks: [network as NetworkConfig], calls };
  }

  const result =
    (value: string): Answer =>
    (_, response) =>
      void response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }));

  it('signs a contract wallet in under its own chain when the chain says so', async () => {
    const { networks, calls } = await node(result(TRUE));
    const verifyContractWallet = contractWalletVerifier(networks);
    const { siwx, clock } = openSiwx({ verifyContractWallet });
    const header = await venice(
      clock,
      { address: CONTRACT },
      { address: CONTRACT, signature: `0x${'12'.repeat(96)}` },
    );
    expect(await siwx.verify(header)).toEqual({ family: 'eip155', chain: BASE, address: CONTRACT });
    expect(calls.length).toBeGreaterThan(0);
    for (const { method, params } of calls) {
      expect(['eth_call', 'eth_getCode']).toContain(method);
      if (method === 'eth_call') expect(params[0].gas).toBe('0x4c4b40');
    }
  });

  it('asks no chain about a key pair that signed for itself (K-6)', async () => {
    const { networks, calls } = await node(result(TRUE));
    const { siwx, clock } = openSiwx({ verifyContractWallet: contractWalletVerifier(networks) });
    expect((await siwx.verify(await venice(clock))).chain).toBe('');
    expect(calls).toEqual([]);
  });

  it.each<[string, Answer]>([
    ['says no', result(`0x${'0'.repeat(64)}`)],
    [
      'reverts',
      (_, response) =>
        void response.end('{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"reverted"}}'),
    ],
    ['answers nonsense', (_, response) => void response.end('<html>')],
    ['answers without end', (_, response) => void response.end('x'.repeat(200_000))],
    ['breaks off', (_, response) => void response.destroy()],
  ])('refuses when the chain %s (K-6)', async (_, answer) => {
    const { networks } = await node(answer);
    const { siwx, clock } = openSiwx({ verifyContractWallet: contractWalletVerifier(networks) });
    const header = await venice(clock, { address: CONTRACT }, { address: CONTRACT });
    await expect(siwx.verify(header)).rejects.toMatchObject({ details: { reason: 'signature' } });
  });

  it(
    'gives a slow chain three seconds in all, whatever is tried (K-6)',
    { timeout: 10_000 },
    async () => {
      const { networks } = await node(() => {});
      const verify = contractWalletVerifier(networks)!;
      const begun = performance.now();
      expect(await verify(BASE, CONTRACT, 'text', `0x${'12'.repeat(65)}`)).toBe(false);
      expect(performance.now() - begun).toBeLessThan(3_300);
    },
  );

  it('refuses a contract wallet where no RPC is set, and says why', async () => {
    const { siwx, clock } = openSiwx();
    const header = await venice(
      clock,
      { address: CONTRACT },
      { address: CONTRACT, signature: `0x${'12'.repeat(96)}` },
    );
    await expect(siwx.verify(header)).rejects.toMatchObject({
      details: { reason: 'smart_wallet_unsupported' },
    });
    expect(contractWalletVerifier([])).toBeNull();
    expect(EVM.address).not.toBe(CONTRACT);
  });
});
