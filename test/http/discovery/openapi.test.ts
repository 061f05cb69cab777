import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { startApp } from '../../support/app.ts';

interface Described {
  security: object[];
  requestBody?: { content: { 'application/json': { schema: object } } };
  responses: Record<string, { content?: { 'application/json': { schema: object } } }>;
}

describe('/openapi.json', () => {
  it('describes every management route, with the schemas that check it', async () => {
    await using app = await startApp();
    const { status, json } = await app.get('/openapi.json');
    expect(status).toBe(200);
    const document = json as unknown as {
      openapi: string;
      paths: Record<string, Record<string, Described>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const described = app.app.routes.filter(({ operation }) => operation);
    expect(described.length).toBeGreaterThan(10);
    const ajv = new Ajv2020({ strict: false });
    for (const { method, path, right } of described) {
      const operation = document.paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method];
      expect([method, path, operation !== undefined]).toEqual([method, path, true]);
      expect(operation!.security.length > 0).toBe(right !== null);
      for (const { content } of [
        operation!.requestBody,
        ...Object.values(operation!.responses),
      ].filter((part) => part !== undefined)) {
        const schema = content?.['application/json'].schema;
        if (schema && !('$ref' in schema)) ajv.compile(schema);
      }
    }
    const body = document.paths['/api/v1/api_keys']!['post']!.requestBody!;
    const check = ajv.compile(body.content['application/json'].schema);
    expect(check({ apiKeyType: 'INFERENCE', description: 'x' })).toBe(true);
    expect(check({ apiKeyType: 'INFERENCE', description: 'x', extra: 1 })).toBe(false);
    expect(check({ description: 'x' })).toBe(false);
  });
});
