/** A facilitator of the stock kind (@x402/svm behind HTTP), which can be told to be slow of tongue or to lie. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import type { Keypair } from '@solana/web3.js';
import { x402Facilitator } from '@x402/core/facilitator';
import { toFacilitatorSvmSigner } from '@x402/svm';
import { ExactSvmScheme } from '@x402/svm/exact/facilitator';
import type { SolanaCluster } from './solana.ts';

type Settle = { success: boolean; errorReason?: string; transaction: string; network: string };

export interface SolanaFacilitator {
  url: string;
  /** Bodies of /settle as they came. */
  settled: unknown[];
  /** Bends what /settle answers after the stock facilitator did its work; null cuts the connection. */
  bend: ((answer: Settle) => Settle | null) | null;
  /** When set, /settle answers this without doing anything. */
  instead: Settle | null;
  stop(): Promise<void>;
}

export async function startSolanaFacilitator(
  cluster: SolanaCluster,
  feePayer: Keypair,
): Promise<SolanaFacilitator> {
  const signer = toFacilitatorSvmSigner(await createKeyPairSignerFromBytes(feePayer.secretKey), {
    defaultRpcUrl: cluster.url,
  });
  const stock = new x402Facilitator();
  stock.register(cluster.network as never, new ExactSvmScheme(signer));
  const state: SolanaFacilitator = {
    url: '',
    settled: [],
    bend: null,
    instead: null,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const answer = async (request: IncomingMessage): Promise<unknown> => {
    if (request.url === '/supported') return stock.getSupported();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
      paymentPayload: never;
      paymentRequirements: never;
    };
    if (request.url === '/verify') {
      return stock.verify(body.paymentPayload, body.paymentRequirements);
    }
    state.settled.push(body);
    if (state.instead) return state.instead;
    const outcome = await stock.settle(body.paymentPayload, body.paymentRequirements);
    return state.bend ? state.bend(outcome as Settle) : outcome;
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => {
        if (body === null) response.destroy();
        else response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
      },
      () => response.writeHead(500).end('{}'),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}
