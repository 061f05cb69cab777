/** A JSON-RPC endpoint in front of a real node, which loses, delays or falsifies what a test tells it to. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';

export interface RpcCall {
  method: string;
  params: unknown[];
}

/** Forward; answer this instead; cut the connection before or after the node saw the call. */
export type Verdict =
  | 'forward'
  | 'cut'
  | 'forward_then_cut'
  | { result: unknown }
  | { error: { code: number; message: string } };

export interface RpcProxy {
  url: string;
  calls: RpcCall[];
  /** Decides about every later call. */
  rule: (call: RpcCall) => Verdict;
  stop(): Promise<void>;
}

export async function startRpcProxy(target: string): Promise<RpcProxy> {
  const server = createServer((request, response) => {
    handle(proxy, target, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const proxy: RpcProxy = {
    url: `http://127.0.0.1:${address.port}`,
    calls: [],
    rule: () => 'forward',
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

async function handle(
  proxy: RpcProxy,
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const call = JSON.parse(text) as RpcCall & { id: number };
  proxy.calls.push({ method: call.method, params: call.params });
  const verdict = proxy.rule(call);
  if (verdict === 'cut') {
    response.destroy();
    return;
  }
  if (typeof verdict === 'object') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...verdict }));
    return;
  }
  const answer = await fetch(target, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: text,
  });
  const body = await answer.text();
  if (verdict === 'forward_then_cut') {
    response.destroy();
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(body);
}
