import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { MediaModel } from '../../../src/config/config.ts';
import { startApp } from '../../support/app.ts';
import type { ContractDocument } from '../../support/contract-document.ts';

describe('/openapi.json', () => {
  it('describes every management route, with the schemas that check it', async () => {
    await using app = await startApp();
    const { status, json } = await app.get('/openapi.json');
    expect(status).toBe(200);
    const document = json as unknown as ContractDocument;
    expect(document.openapi).toBe('3.1.0');
    expect(document.servers).toEqual([{ url: app.url }]);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const { components } = document;
    for (const { method, path, right } of app.app.routes) {
      const operation = document.paths[path.replaceAll(/[:*](\w+)/g, '{$1}')]![method]!;
      expect(operation.security.length > 0).toBe(right !== null);
      const parts = [operation.requestBody, ...Object.values(operation.responses)];
      for (const content of parts.flatMap((part) => Object.values(part?.content ?? {}))) {
        const isWhole = !JSON.stringify(content.schema).includes('$ref');
        ajv.compile(isWhole ? content.schema : { ...content.schema, components });
      }
    }
    const body = document.paths['/api/v1/api_keys']!['post']!.requestBody!;
    const check = ajv.compile(body.content['application/json']!.schema);
    expect(check({ apiKeyType: 'INFERENCE', description: 'x' })).toBe(true);
    expect(check({ apiKeyType: 'INFERENCE', description: 'x', extra: 1 })).toBe(false);
    expect(check({ description: 'x' })).toBe(false);
  });

  it('says of everything that is sold what it may cost, and how it is paid', async () => {
    await using app = await startApp();
    const { json } = await app.get('/openapi.json');
    const { paths } = json as unknown as ContractDocument;
    const priced = Object.entries(paths).filter(([, { post }]) => post?.['x-payment-info']);
    const sold = app.app.routes.filter(({ right }) => right === 'infer');
    expect(priced.length).toBe(sold.length + 3);
    expect(paths['/v1/chat/completions']!['post']!['x-payment-info']).toEqual({
      price: { mode: 'dynamic', currency: 'USD', min: '0.05', max: '10000.00' },
      protocols: [{ x402: {} }],
    });
    expect(Object.keys(paths['/v1/chat/completions']!['post']!.responses)).toContain('402');
  });

  it('is made once, and again after a reload that changes what is sold', async () => {
    await using app = await startApp();
    const first = await app.get('/openapi.json');
    const etag = first.headers.get('etag')!;
    const again = await app.get('/openapi.json', { 'if-none-match': etag });
    expect([again.status, again.text]).toEqual([304, '']);
    const { config } = app.app;
    const models = config.models.map((model) =>
      model.type === 'image' ? { ...(model as MediaModel), id: 'another' } : model,
    );
    await app.app.reload({ ...config, models });
    const later = await app.get('/openapi.json', { 'if-none-match': etag });
    expect(later.status).toBe(200);
    expect(later.text).toContain('"another"');
    expect(first.text).not.toContain('"another"');
  });
});
