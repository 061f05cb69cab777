import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAnswers } from '../../src/setup/answers.ts';
import { draftOf } from '../../src/setup/draft.ts';

const OPTIONS = { environment: {}, dataDir: '/nowhere', cwd: '/nowhere', nowMs: 0 };
const GAS_KEY = `0x${'1'.repeat(64)}`;

describe('answers of the set-up page', () => {
  let server: Server;
  let baseUrl: string;
  beforeAll(async () => {
    server = createServer((_request, response) => {
      const data = ['gpt-5-mini', 'somebody/claude-sonnet-4-5', 'home-grown'].map((id) => ({ id }));
      response.end(JSON.stringify({ data }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const answers = (more: Record<string, string>) =>
    readAnswers(
      new URLSearchParams({
        upstream: 'OPENAI_API_KEY',
        upstream_key: 'sk-0123456789abcdef',
        pay_to_evm: '0x1111111111111111111111111111111111111111',
        settle: 'embedded',
        gas_key_evm: GAS_KEY,
        markup: '12.5',
        public_url: 'https://gw.example.com',
        ...more,
      }),
    );

  it('become settings whose secrets are named, not written', async () => {
    const { text, secrets, config } = await draftOf(answers({}), OPTIONS);
    expect(text).not.toContain(GAS_KEY);
    expect(text).not.toContain('sk-0123456789abcdef');
    expect(secrets).toEqual({ OPENAI_API_KEY: 'sk-0123456789abcdef', GAS_KEY_EVM: GAS_KEY });
    expect(config.server.publicUrl).toBe('https://gw.example.com');
    expect(new Set(config.models.map(({ price }) => price.markup))).toEqual(new Set(['1.125']));
  });

  it('for an unknown server sell what has a known price, at the markup, and say what has none', async () => {
    const other = answers({ upstream: 'other', upstream_key: '', base_url: baseUrl });
    const { config, unpriced } = await draftOf(other, OPTIONS);
    expect(config.models.map(({ id, price }) => [id, price.markup])).toEqual([
      ['gpt-5-mini', '1.125'],
      ['somebody/claude-sonnet-4-5', '1.125'],
    ]);
    expect(unpriced).toEqual(['home-grown']);
  });

  it('read no variable of the environment, and ask no address in the clear', async () => {
    const environment = { CANARY: 'canary-of-the-environment' };
    for (const [field, said, what] of [
      ['base_url', `${baseUrl}/\${CANARY}`, 'must not contain ${'],
      ['public_url', 'https://${CANARY}.example.com', 'must not contain ${'],
      ['base_url', 'http://192.0.2.1/v1', 'must be an https URL'],
      ['upstream', 'FAREBOX_ADMIN_KEY', 'must be one of the list'],
    ] as const) {
      for (const upstream of field === 'upstream' ? [said] : ['OPENAI_API_KEY', 'other']) {
        const draft = draftOf(answers({ upstream, [field]: said }), { ...OPTIONS, environment });
        await expect(draft).rejects.toThrow(what);
      }
    }
  });

  it.each([
    ['markup', { markup: '-1' }],
    ['public_url', { public_url: 'gw.example.com' }],
    ['pay_to_evm', { pay_to_evm: '' }],
    ['upstream_key', { upstream_key: '' }],
    ['settle', { gas_key_evm: '' }],
    ['base_url', { upstream: 'other', base_url: 'http://127.0.0.1:64997' }],
  ])('say what is wrong with %s', async (path, more) => {
    await expect(draftOf(answers(more), OPTIONS)).rejects.toMatchObject({
      faults: expect.arrayContaining([expect.objectContaining({ path })]) as unknown,
    });
  });

  it.each([
    ['20', '1.2'],
    ['0', '1'],
    ['12.5', '1.125'],
    ['100', '2'],
    ['5', '1.05'],
  ])('a markup of %s percent is a factor of %s', async (markup, factor) => {
    const { config } = await draftOf(answers({ markup }), OPTIONS);
    expect(config.models[0]?.price.markup).toBe(factor);
  });
});
