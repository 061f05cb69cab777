import {
  extractDiscoveryInfoFromExtension,
  validateDiscoveryExtension,
  validateDiscoveryExtensionSpec,
} from '@x402/extensions/bazaar';
import { describe, expect, it } from 'vitest';
import { decoded, listOf, startApp } from '../../support/app.ts';

type Extension = Parameters<typeof validateDiscoveryExtension>[0];

/** What clients send back with their payment must fit beside it. */
const MOST_HEADER_BYTES = 6_000;

describe('a 402', () => {
  it('tells catalogues what each resource takes, as x402’s own validator reads it', async () => {
    await using app = await startApp();
    const { json } = await app.get('/.well-known/x402');
    const urls = (listOf(json['resources']) as unknown as string[]).filter(
      (url) => !url.includes('/fashion/'),
    );
    urls.push(
      `${app.url}/x402/top-up`,
      `${app.url}/v1/x402/top-up`,
      `${app.url}/api/v1/x402/top-up`,
    );
    expect(urls.length).toBeGreaterThan(28);
    for (const url of urls) {
      const answer = await fetch(url, { method: 'POST' });
      await answer.arrayBuffer();
      expect([url, answer.status]).toEqual([url, 402]);
      const header = answer.headers.get('payment-required');
      expect(header!.length).toBeLessThan(MOST_HEADER_BYTES);
      const required = decoded(header);
      expect(required['resource']!['url']).toBe(url);
      const extension = required['extensions']!['bazaar'] as unknown as Extension;
      expect(validateDiscoveryExtension(extension)).toEqual({ valid: true });
      expect(validateDiscoveryExtensionSpec(extension as never)).toEqual({ valid: true });
      expect(extractDiscoveryInfoFromExtension(extension)).toMatchObject({
        input: { type: 'http', method: 'POST' },
      });
    }
  });

  it('names a model that is sold, also after a reload', async () => {
    await using app = await startApp();
    const bodyOf = async () => {
      const { headers } = await app.post('/v1/chat/completions', '');
      const { extensions } = decoded(headers.get('payment-required'));
      return extensions!['bazaar']!['info']!['input']!['body'];
    };
    expect(await bodyOf()).toMatchObject({ model: 'demo-chat', max_tokens: 50 });
    const { config } = app.app;
    const models = config.models.map((model) =>
      model.id === 'demo-chat' ? { ...model, id: 'other-chat' } : model,
    );
    await app.app.reload({ ...config, models });
    expect(await bodyOf()).toMatchObject({ model: 'other-chat' });
  });
});
