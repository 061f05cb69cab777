import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../src/log.ts';
import { startTracing, type Tracing } from '../../src/traces/start.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { taskBench } from '../support/tasks.ts';
import { goodStream, json, startUpstream, type TestUpstream } from '../support/upstream.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

interface Sent {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, string> }[];
  status: { code?: number };
}

/** A collector is any server that takes what is posted to it. */
let collector: TestUpstream;
let tracing: Tracing | null = null;
beforeEach(async () => {
  collector = await startUpstream(json(200, {}));
});
afterEach(async () => {
  await tracing?.close();
  tracing = null;
  await collector.close();
});

function start(more: Record<string, string> = {}): void {
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: new URL(collector.url).origin, ...more };
  tracing = startTracing(environment, silentLog);
}

async function spans(): Promise<Sent[]> {
  await tracing?.flush();
  return collector.requests.flatMap(({ json: body }) => {
    const { resourceSpans } = body as unknown as {
      resourceSpans: { scopeSpans: { spans: Sent[] }[] }[];
    };
    return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  });
}

function attributesOf({ attributes }: Sent): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]),
  );
}

async function named(name: string): Promise<Sent> {
  const found = (await spans()).filter((span) => span.name === name);
  expect([name, found.length]).toEqual([name, 1]);
  return found[0]!;
}

const request = () => named('POST /v1/chat/completions');

it('follows a request from its caller through an attempt to its settlement', async () => {
  start({
    OTEL_SERVICE_NAME: 'gateway',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test%20one,service.name=other',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=k%201',
  });
  await using app = await startApp();
  const { secret } = await app.key('1');
  const traced = { traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'vendor=1' };
  expect((await app.chat({ ...bearer(secret), ...traced })).status).toBe(200);
  const served = await request();
  const attempt = await named('upstream attempt');
  const settled = await named('settle');
  expect([served.traceId, served.parentSpanId, served.kind]).toEqual([TRACE, CALLER, 2]);
  expect(served.traceState).toBe('vendor=1');
  expect([attempt.traceId, attempt.parentSpanId, attempt.kind]).toEqual([TRACE, served.spanId, 3]);
  expect([settled.traceId, settled.parentSpanId]).toEqual([TRACE, served.spanId]);
  expect(BigInt(attempt.endTimeUnixNano) > BigInt(attempt.startTimeUnixNano)).toBe(true);
  expect(attributesOf(served)).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/v1/chat/completions',
    'http.response.status_code': '200',
    'farebox.caller': 'key',
  });
  expect(attributesOf(attempt)).toMatchObject({
    'farebox.channel': 'demo',
    'farebox.outcome': 'good',
    'farebox.request_id': attributesOf(served)['farebox.request_id'],
  });
  expect(Number(attributesOf(settled)['farebox.charged_nano_usd'])).toBeGreaterThan(0);
  const { headers } = app.upstream.requests[0]!;
  expect(headers['traceparent']).toBe(`00-${TRACE}-${attempt.spanId}-01`);
  expect(headers['tracestate']).toBe('vendor=1');

  const [batch] = collector.requests;
  expect([batch!.path, batch!.headers['x-collector-key']]).toEqual(['/v1/traces', 'k 1']);
  const resource = JSON.stringify(batch!.json);
  expect(resource).toContain('{"key":"service.name","value":{"stringValue":"gateway"}}');
  expect(resource).toContain('"stringValue":"test one"');
  await app.check();
});

it('keeps a stream in its trace to the end, and begins one where the caller has none', async () => {
  start();
  await using app = await startApp();
  const { secret } = await app.key('1');
  app.upstream.next(goodStream());
  const wrong = { traceparent: `00-${'0'.repeat(32)}-${CALLER}-01` };
  const answer = await app.chat({ ...bearer(secret), ...wrong }, { stream: true });
  expect(answer.text).toContain('[DONE]');
  await app.stop();
  const served = await request();
  expect(served.parentSpanId).toBeUndefined();
  expect(served.traceId).toMatch(/^[0-9a-f]{32}$/);
  const settled = await named('settle');
  expect([settled.traceId, settled.parentSpanId]).toEqual([served.traceId, served.spanId]);
});

it('says which attempt failed and by which code, and nothing that is secret', async () => {
  start();
  await using app = await startApp();
  const { secret } = await app.key('1');
  app.upstream.next(json(500, { error: { message: 'the-secret-of-the-upstream' } }));
  const content = 'the-secret-of-the-caller';
  const headers = { ...bearer(secret), 'x-note': 'the-secret-in-a-header' };
  const failed = await app.chat(headers, { messages: [{ role: 'user', content }] });
  expect(failed.status).toBe(502);
  expect((await app.get('/media/the-secret-link?token=the-secret-token')).status).toBe(404);
  expect((await app.get('/nowhere/the-secret-path')).status).toBe(404);
  const wallet = await app.evm();
  const payment = await wallet.pay('3');
  const paid = await app.post('/x402/top-up', '', { 'payment-signature': payment });
  expect(paid.status).toBe(200);
  const attempt = await named('upstream attempt');
  expect(attempt.status).toEqual({ code: 2 });
  expect(attributesOf(attempt)['error.type']).toBe('upstream_failed');
  expect((await request()).status).toEqual({ code: 2 });
  expect(attributesOf(await named('settle'))['farebox.charged_nano_usd']).toBe('0');
  const settled = await named('settle payment');
  expect(settled.parentSpanId).toBe((await named('POST /x402/top-up')).spanId);
  expect(attributesOf(settled)['farebox.payment_state']).toBe('settled');
  expect((await spans()).map(({ name }) => name)).toContain('GET');
  const all = collector.requests.map(({ body }) => body.toString()).join('\n');
  for (const hidden of ['the-secret', secret, payment, wallet.address]) {
    expect(all).not.toContain(hidden);
  }
});

it('follows a task from its start to its end', async () => {
  start();
  await using bench = await taskBench();
  const { id } = await bench.make();
  await bench.finish(id);
  await bench.check();
  const settled = await named('settle task');
  expect(attributesOf(settled)).toMatchObject({
    'farebox.task': id,
    'farebox.task_state': 'completed',
  });
  const started = await named('start task');
  expect(started.parentSpanId).toBeUndefined();
  expect(attributesOf(started)).toMatchObject({ 'farebox.task': id, 'farebox.model': 'clip' });
  const looks = (await spans()).filter(({ name }) => name === 'look at task');
  expect(looks.some(({ spanId }) => spanId === settled.parentSpanId)).toBe(true);
});

it('keeps what its sampler says, and hands the decision on', async () => {
  start({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' });
  await using app = await startApp();
  const { secret } = await app.key('1');
  const chat = async (flags: string | null) => {
    const traceparent = `00-${TRACE}-${CALLER}-${flags}`;
    await app.chat({ ...bearer(secret), ...(flags !== null && { traceparent }) });
    return app.upstream.requests.at(-1)!.headers['traceparent'];
  };
  expect(await chat(null)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(await chat('00')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  expect(await spans()).toEqual([]);
  expect(await chat('01')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  expect(await spans()).toHaveLength(3);
});

async function chatsWell(app: TestApp): Promise<void> {
  const { secret } = await app.key('1');
  expect((await app.chat(bearer(secret))).status).toBe(200);
}

it('sends a batch again that the collector was too busy for', async () => {
  start();
  await using app = await startApp();
  collector.next(json(503, {}));
  await chatsWell(app);
  await tracing?.flush();
  expect(collector.requests).toHaveLength(1);
  await tracing?.flush();
  expect(collector.requests).toHaveLength(2);
  expect(collector.requests[1]!.body).toEqual(collector.requests[0]!.body);
  await tracing?.flush();
  expect(collector.requests).toHaveLength(2);
});

it('is off without its variables: no span, no header, nothing asked', async () => {
  expect(startTracing({}, silentLog)).toBeNull();
  start({ OTEL_TRACES_EXPORTER: 'none' });
  expect(tracing).toBeNull();
  start({ OTEL_SDK_DISABLED: 'true' });
  expect(tracing).toBeNull();
  await using app = await startApp();
  await chatsWell(app);
  expect(app.upstream.requests[0]!.headers['traceparent']).toBeUndefined();
  expect(collector.requests).toEqual([]);
});
