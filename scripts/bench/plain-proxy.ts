/**
 * What Farebox is measured against: an ordinary Koa proxy as one writes it in an afternoon. No keys, no money, no metering.
 * Usage: node plain-proxy.ts UPSTREAM_URL. Prints its port.
 */
import Router from '@koa/router';
import Koa from 'koa';
import { request } from 'undici';

const upstream = process.argv[2] ?? 'http://127.0.0.1:8000/v1';
const app = new Koa();
const router = new Router();

router.get('/health', (ctx) => {
  ctx.body = { ok: true };
});

router.post('/v1/chat/completions', async (ctx) => {
  const parts: Buffer[] = [];
  for await (const part of ctx.req) parts.push(part);
  const body: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
  const answer = await request(`${upstream}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer upstream-key' },
    body: JSON.stringify(body),
  });
  ctx.status = answer.statusCode;
  ctx.type = String(answer.headers['content-type']);
  ctx.body = answer.body;
});

app.use(router.routes());
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object')
    process.stdout.write(`port ${address.port}\n`);
});
