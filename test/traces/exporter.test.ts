import { describe, expect, it } from 'vitest';
import { readContext, writeContext } from '../../src/traces/context.ts';
import { type EndedSpan, Exporter } from '../../src/traces/exporter.ts';
import { samplerOf } from '../../src/traces/sampler.ts';
import { traceSettings } from '../../src/traces/settings.ts';
import { json, raw, startUpstream } from '../support/upstream.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

function span(name: string): EndedSpan {
  const context = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), isSampled: true, state: '' };
  const times = { startedNs: 1n, endedNs: 2n };
  return {
    context,
    parentSpanId: '',
    name,
    kind: 'internal',
    ...times,
    attributes: {},
    failed: null,
  };
}

function exporterTo(url: string) {
  const said: unknown[] = [];
  const log = { warn: (_event: string, fields?: object) => void said.push(fields) };
  const where = { url, headers: { 'x-key': 'hidden' }, timeoutMs: 2_000, resource: {} };
  return { exporter: new Exporter({ ...where, log }), said };
}

describe('what waits to be sent', () => {
  it('is bounded: what is more is lost, and counted', async () => {
    const { exporter, said } = exporterTo('http://user:hidden@127.0.0.1:9/v1/traces');
    for (let at = 0; at < 3_000; at += 1) exporter.add(span(`s${at}`));
    await exporter.close();
    expect(said).toEqual([{ reason: 'the collector could not be reached', lost: 952 }]);
  });

  it('leaves in batches, and is given up where the collector does not want it', async () => {
    await using collector = await startUpstream(json(200, {}));
    const { exporter, said } = exporterTo(collector.url);
    collector.next(raw(400, 'text/plain', 'x'.repeat(100_000)));
    for (let at = 0; at < 500; at += 1) exporter.add(span('first'));
    await exporter.flush();
    expect(said).toEqual([{ reason: 'the collector answered 400', lost: 500 }]);
    for (let at = 0; at < 1_100; at += 1) exporter.add(span('second'));
    await exporter.close();
    const sizes = collector.requests.map(
      ({ body }) => body.toString().split('"name":"s').length - 1,
    );
    expect(sizes).toEqual([0, 512, 512, 76]);
    expect(collector.requests[1]!.headers['x-key']).toBe('hidden');
  });

  it('keeps nobody from ending while the collector hangs', async () => {
    await using collector = await startUpstream(() => {});
    const where = { url: collector.url, headers: {}, timeoutMs: 60_000, resource: {} };
    const exporter = new Exporter({ ...where, log: { warn: () => {} } });
    exporter.add(span('last'));
    const closed = exporter.close();
    await expect.poll(() => collector.requests.length).toBe(1);
    await closed;
  });

  it('does not follow a redirect with its headers', async () => {
    await using other = await startUpstream(json(200, {}));
    await using collector = await startUpstream((response) => {
      response.writeHead(307, { location: other.url }).end();
    });
    const { exporter } = exporterTo(collector.url);
    exporter.add(span('s'));
    await exporter.close();
    expect(other.requests).toEqual([]);
  });
});

describe('the variables', () => {
  it('name a collector by its base, or for traces alone by its whole URL', () => {
    const url = (more: object) => traceSettings({ ...ENDPOINT, ...more })?.url;
    expect(url({})).toBe('http://127.0.0.1:4318/v1/traces');
    expect(url({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c.example/base/' })).toBe(
      'https://c.example/base/v1/traces',
    );
    const whole = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c.example/own' };
    expect(url(whole)).toBe('https://c.example/own');
  });

  it('are left out and named, not quoted, where they make no sense', () => {
    const { notes, sampler, timeoutMs, headers } = traceSettings({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20hidden,hidden',
      OTEL_EXPORTER_OTLP_TIMEOUT: 'soon',
      OTEL_TRACES_SAMPLER: 'hidden',
      OTEL_TRACES_SAMPLER_ARG: '7',
    })!;
    expect(notes).toHaveLength(5);
    expect(notes.join()).not.toContain('hidden');
    expect([sampler('1', null), timeoutMs]).toEqual([true, 10_000]);
    expect(headers).toEqual({ authorization: 'Basic hidden' });
    const off = { OTEL_EXPORTER_OTLP_ENDPOINT: 'nowhere' };
    expect(traceSettings(off)).toMatchObject({ url: '', notes: [expect.stringContaining('URL')] });
  });

  it('choose traces by their id alone, about as many as was asked for', () => {
    const sampler = samplerOf('traceidratio', 0.25)!;
    let kept = 0;
    for (let at = 0; at < 4_000; at += 1) {
      const id = (BigInt(at) * 0x9e3779b97f4a7c15n * 0x10001n)
        .toString(16)
        .slice(-32)
        .padStart(32, '0');
      if (sampler(id, null)) kept += 1;
      expect(sampler(id, null)).toBe(sampler(id, null));
    }
    expect(kept).toBeGreaterThan(800);
    expect(kept).toBeLessThan(1_200);
  });
});

describe('a trace of somebody else', () => {
  const valid = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  it('is read as the standard says, later versions included, and written as its first', () => {
    expect(writeContext(readContext(valid, undefined)!)).toEqual({ traceparent: valid });
    const later = readContext(`cc${valid.slice(2)}-what-comes`, 'a=1')!;
    expect(writeContext(later)).toEqual({ traceparent: valid, tracestate: 'a=1' });
  });

  it.each([
    '',
    'ff' + valid.slice(2),
    valid + '-more',
    valid.toUpperCase(),
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
    valid.slice(0, -1),
  ])('is none where it reads %j', (text) => {
    expect(readContext(text, undefined)).toBeNull();
  });
});
