/** A video as a task: paid, made, fetched, and told about by a signed webhook. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatUsd, type NanoUsd, parseUsd } from '../../src/money.ts';
import type { Gateway } from '../wallet/gateway.ts';
import type { Teller } from './story.ts';

const MODEL = 'demo-video';
const SECONDS = 2;
/** $0.05 a second, by config/demo-models.yaml. */
const PRICE = parseUsd('0.10');
const PROMPT = 'A paper boat leaves the harbour.';
const WAIT_SECONDS = 30;
const WEBHOOK_WAIT_MS = 30_000;

interface Task {
  id: string;
  status: string;
  credits_held: number;
  charged_usd: string;
  result: { data: { url: string; bytes: number; sha256: string }[] } | null;
}

interface Call {
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Answers what it must have cost. */
export async function videoTask(teller: Teller, gateway: Gateway): Promise<NanoUsd> {
  const { say, checks, figures } = teller;
  await using receiver = await startReceiver();
  const { secret } = await gateway.ask<{ secret: string }>('GET', '/v1/webhooks/secret');
  const made = await gateway.ask<Task>('POST', '/v1/videos', {
    model: MODEL,
    prompt: PROMPT,
    duration: SECONDS,
    resolution: '720p',
    callback_url: receiver.url,
  });
  say(`   ${made.id} is ${made.status}; ${made.credits_held} credits are held for it.`);
  const done = await gateway.ask<Task>('GET', `/v1/tasks/${made.id}?wait=${WAIT_SECONDS}`);
  checks.exact('the end of the task', done.status, 'completed');
  checks.exact('the price of the video', parseUsd(done.charged_usd), PRICE);
  await fetchResult(teller, done);
  const { headers, body } = await receiver.called;
  const event = JSON.parse(body.toString()) as { type: string; data: { id: string } };
  checks.exact('the signature of the webhook', isSigned(secret, headers, body), true);
  checks.exact('the event of the webhook', event.type, 'task.completed');
  checks.exact('the task of the webhook', event.data.id, made.id);
  say(`   The webhook ${String(headers['webhook-id'])} came, signed with the agent's own secret.`);
  figures['video'] = formatUsd(PRICE);
  return PRICE;
}

async function fetchResult({ say, checks }: Teller, { result }: Task): Promise<void> {
  const [asset] = result?.data ?? [];
  if (!asset) throw new Error('the task has no result');
  const file = await fetch(asset.url);
  const bytes = Buffer.from(await file.arrayBuffer());
  const hash = createHash('sha256').update(bytes).digest('hex');
  checks.exact('the type of the video', file.headers.get('content-type'), 'video/mp4');
  checks.exact('the bytes of the video', bytes.length, asset.bytes);
  checks.exact('the SHA-256 of the video', hash, asset.sha256);
  say(
    `   ${bytes.length} bytes of video/mp4 at ${asset.url.slice(0, 60)}…, paid $${formatUsd(PRICE)}.`,
  );
}

/** As any library of Standard Webhooks checks it. */
function isSigned(secret: string, headers: IncomingHttpHeaders, body: Buffer): boolean {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const head = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.`;
  const expected = createHmac('sha256', key).update(head).update(body).digest();
  return String(headers['webhook-signature'])
    .split(' ')
    .map((each) => Buffer.from(each.replace('v1,', ''), 'base64'))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
}

/** The agent's own server, here on loopback. */
async function startReceiver() {
  const call = Promise.withResolvers<Call>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(204).end();
      call.resolve({ headers: request.headers, body: Buffer.concat(chunks) });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const timeout = setTimeout(() => call.reject(new Error('no webhook came')), WEBHOOK_WAIT_MS);
  // A story that ends before it is waited for has another error to tell.
  call.promise.catch(() => {});
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    called: call.promise,
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timeout);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
