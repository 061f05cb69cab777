/**
 * Program: a remote facilitator as strangers run it, made of what @x402/core, /evm and /svm export, over HTTP. Started by
 * facilitator.ts with its settings as JSON in the first argument; tells its address over IPC. Told to by POST /test/mode, it
 * misbehaves as real ones did.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { createKeyPairSignerFromBytes, createSolanaRpc } from '@solana/kit';
import { x402Facilitator } from '@x402/core/facilitator';
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types';
import { toFacilitatorEvmSigner } from '@x402/evm';
import { ExactEvmScheme } from '@x402/evm/exact/facilitator';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator';
import { toFacilitatorSvmSigner } from '@x402/svm';
import { ExactSvmScheme } from '@x402/svm/exact/facilitator';
import { type Hex, createWalletClient, defineChain, http, publicActions } from 'viem';
import { nonceManager, privateKeyToAccount } from 'viem/accounts';
import type { FacilitatorMode, FacilitatorSettings } from './facilitator.ts';

interface Call {
  path: string;
  authorization: string | null;
  body: unknown;
}

type EvmClient = Parameters<typeof toFacilitatorEvmSigner>[0];

const settings = JSON.parse(process.argv[2] ?? '{}') as FacilitatorSettings;
const calls: Call[] = [];
let mode: FacilitatorMode = 'honest';

const facilitator = await build();
const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    reply(response, 500, { error: error instanceof Error ? error.message : 'failed' });
  });
});
server.listen(settings.port ?? 0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address !== 'string') process.send?.({ port: address.port });
});
process.on('disconnect', () => process.exit(0));

async function build(): Promise<x402Facilitator> {
  const built = new x402Facilitator();
  if (settings.evm) {
    const { chainId, rpcUrl, key, v1Name, confirmationTimeoutMs } = settings.evm;
    const account = privateKeyToAccount(key as Hex, { nonceManager });
    const chain = defineChain({
      id: chainId,
      name: 'test',
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    });
    const client = createWalletClient({
      account,
      chain,
      transport: http(),
      pollingInterval: 20,
    }).extend(publicActions);
    const timeout = confirmationTimeoutMs === undefined ? {} : { confirmationTimeoutMs };
    // It is what the package's own documentation passes; only the overloads of viem's types do not meet the package's.
    const parts = { ...client, address: account.address } as unknown;
    const signer = toFacilitatorEvmSigner(parts as EvmClient, timeout);
    if (!settings.v1Only) built.register(`eip155:${chainId}`, new ExactEvmScheme(signer));
    if (v1Name) built.registerV1(v1Name as `${string}:${string}`, new ExactEvmSchemeV1(signer));
  }
  if (settings.svm) {
    const { network, rpcUrl, secretKey } = settings.svm;
    const id = network as `solana:${string}`;
    const keypair = await createKeyPairSignerFromBytes(Buffer.from(secretKey, 'base64'));
    // A bare RPC object is not recognised (@x402/svm 2.27); one per network is.
    const signer = toFacilitatorSvmSigner(keypair, { [id]: createSolanaRpc(rpcUrl) });
    built.register(id, new ExactSvmScheme(signer));
  }
  return built;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '';
  const body = request.method === 'POST' ? await readBody(request) : null;
  if (path === '/test/mode') {
    mode = (body as { mode: FacilitatorMode }).mode;
    return reply(response, 200, {});
  }
  if (path === '/test/calls') return reply(response, 200, calls);
  calls.push({ path, authorization: request.headers.authorization ?? null, body });
  if (path === '/supported') return reply(response, 200, facilitator.getSupported());
  if (mode === 'busy')
    return reply(response, 429, { error: 'too many requests' }, { 'retry-after': '1' });
  const { paymentPayload, paymentRequirements } = body as {
    paymentPayload: PaymentPayload;
    paymentRequirements: PaymentRequirements;
  };
  if (path === '/verify') {
    return reply(response, 200, await facilitator.verify(paymentPayload, paymentRequirements));
  }
  if (path !== '/settle') return reply(response, 404, { error: 'not found' });
  await settle(response, paymentPayload, paymentRequirements);
}

async function settle(
  response: ServerResponse,
  payload: PaymentPayload,
  requirements: PaymentRequirements,
): Promise<void> {
  const network = requirements.network;
  switch (mode) {
    case 'garbage':
      response.end('<html>success</html>');
      return;
    case 'huge':
      return reply(response, 200, { success: true, transaction: `0x${'1'.repeat(200_000)}` });
    case 'redirect':
      return reply(response, 307, {}, { location: 'http://127.0.0.1:9/settle' });
    case 'server-error':
      return reply(response, 500, { error: 'internal' });
    case 'lies-success':
      return reply(response, 200, {
        success: true,
        transaction: fakeTransaction(network),
        network,
        payer: '0x1',
      });
    case 'hangs':
      return;
    default:
  }
  const outcome = await facilitator.settle(payload, requirements);
  switch (mode) {
    case 'settles-then-hangs':
      return;
    case 'settles-then-502':
      return reply(response, 502, { error: 'bad gateway' });
    case 'settles-then-cuts':
      response.destroy();
      return;
    case 'settles-then-pending':
      return reply(response, 500, {
        ...outcome,
        success: false,
        errorReason: 'settlement_pending',
      });
    case 'settles-then-refuses':
      return reply(response, 200, {
        success: false,
        errorReason: 'insufficient_funds',
        transaction: '',
        network,
      });
    case 'settles-wrong-payer':
      return reply(response, 200, {
        ...outcome,
        payer: `0x${'9'.repeat(40)}`,
        amount: '999999999999',
      });
    default:
      return reply(response, outcome.success ? 200 : 400, outcome);
  }
}

function fakeTransaction(network: string): string {
  return network.startsWith('solana') ? '5'.repeat(88) : `0x${'ab'.repeat(32)}`;
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
