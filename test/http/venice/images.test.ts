import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../../src/money.ts';
import { listOf, readAnswer } from '../../support/app.ts';
import { BASE64, openShop, PNG, post, raw, venice } from '../../support/images.ts';
import { startMediaApp } from '../../support/media-app.ts';

describe('/api/v1/image/generate', () => {
  it('answers the images themselves, in Venice’s shape, for what they cost', async () => {
    await using shop = await openShop();
    const body = {
      model: 'boats',
      prompt: 'A boat',
      variants: 2,
      format: 'png',
      safe_mode: false,
      steps: 20,
      cfg_scale: 7.5,
      seed: 42,
      style_preset: 'Noir',
      width: 768,
      height: 512,
    };
    expect(venice.allowsBody('post', '/image/generate', body)).toBe(true);
    const made = await post(shop, '/image/generate', { ...body, max_credits: 5 });
    expect(made.status).toBe(200);
    venice.expectAnswer('post', '/image/generate', 200, made.json);
    expect(made.json).toMatchObject({ images: [BASE64, BASE64], request: null });
    expect(made.headers.get('x-request-cost')).toBe('0.02');
    expect(made.headers.get('x-balance-remaining')).toBe('0.980000');
    expect(shop.upstream.requests[0]!.json).toEqual({ ...body, model: 'up' });
    expect(await shop.cents()).toBe(98);
    await shop.app.check();
  });

  it('answers the bytes of one image where they are asked for', async () => {
    await using shop = await openShop();
    const made = await raw(shop, '/image/generate', {
      model: 'boats',
      prompt: 'A boat',
      return_binary: true,
    });
    expect([made.status, made.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(made.bytes.equals(PNG)).toBe(true);
    expect(made.headers.get('x-balance-remaining')).toBe('0.990000');
    expect(shop.upstream.requests[0]!.json).not.toHaveProperty('return_binary');
    await shop.app.check();
  });

  it('is as strict as Venice’s document, and names what is wrong', async () => {
    await using shop = await openShop((config) => void (config.limits.failedRequests.count = 0));
    const good = { model: 'boats', prompt: 'A boat' };
    const wrong: [change: object, field: string][] = [
      [{ prompt: undefined }, 'prompt'],
      [{ prompt: '' }, 'prompt'],
      [{ prompt: 'x'.repeat(7_501) }, 'prompt'],
      [{ model: undefined }, 'model'],
      [{ variants: 5 }, 'variants'],
      [{ width: 1_281 }, 'width'],
      [{ height: 0 }, 'height'],
      [{ cfg_scale: 0 }, 'cfg_scale'],
      [{ cfg_scale: 20.5 }, 'cfg_scale'],
      [{ seed: 1.5 }, 'seed'],
      [{ quality: 'best' }, 'quality'],
      [{ format: 'gif' }, 'format'],
      [{ lora_strength: 101 }, 'lora_strength'],
      [{ safe_mode: 'yes' }, 'safe_mode'],
      [{ style_references: [{ strength: 1 }] }, 'style_references'],
      [{ nobody_knows: 1 }, 'nobody_knows'],
    ];
    for (const [change, field] of wrong) {
      const body = { ...good, ...change };
      const plain = JSON.parse(JSON.stringify(body)) as object;
      // Its document leaves the rest to words.
      const isSaid = venice.allowsBody('post', '/image/generate', plain);
      const made = await post(shop, '/image/generate', body);
      expect([field, isSaid, made.status, made.json['code']]).toEqual([
        field,
        false,
        400,
        'INVALID_REQUEST',
      ]);
      expect(made.text).toContain(field);
      expect(made.json['details']).toBeTypeOf('object');
    }
    for (const [change, code] of [
      [{ enhance_prompt: true }, 'UNSUPPORTED_PARAMETER'],
      [{ enable_web_search: true }, 'UNSUPPORTED_PARAMETER'],
      [{ return_binary: true, variants: 2 }, 'INVALID_REQUEST'],
      [{ model: 'larger' }, 'INVALID_REQUEST'],
      [{ max_credits: 0.5 }, 'MAX_CREDITS_EXCEEDED'],
    ] as const) {
      const made = await post(shop, '/image/generate', { ...good, ...change });
      expect([made.status, made.json['code']]).toEqual([400, code]);
    }
    expect((await post(shop, '/image/generate', { ...good, model: 'nobody' })).status).toBe(404);
    expect(shop.upstream.requests).toHaveLength(0);
    expect(await shop.cents()).toBe(100);
    await shop.app.check();
  });

  it('that fails or is filtered costs nothing, and says why', async () => {
    await using shop = await openShop();
    const ask = () => post(shop, '/image/generate', { model: 'boats', prompt: 'A boat' });
    shop.upstream.next({ status: 400, json: { error: 'No such style.' } });
    const refused = await ask();
    expect([refused.status, refused.text.includes('No such style.')]).toEqual([400, true]);
    shop.upstream.next({
      headers: { 'x-venice-is-content-violation': 'true' },
      json: { images: [BASE64] },
    });
    const filtered = await ask();
    expect([filtered.status, filtered.json['code']]).toEqual([422, 'CONTENT_POLICY_VIOLATION']);
    venice.expectAnswer('post', '/video/queue', 422, filtered.json);
    expect(await shop.cents()).toBe(100);
    await shop.app.check();
  });

  it('is made once for an Idempotency-Key, and given again (C-11)', async () => {
    await using shop = await openShop();
    const body = { model: 'boats', prompt: 'A boat' };
    const headers = { 'idempotency-key': 'boat-1' };
    const first = await post(shop, '/image/generate', body, headers);
    const again = await post(shop, '/image/generate', body, headers);
    expect([again.headers.get('idempotency-replayed'), again.text]).toEqual(['true', first.text]);
    expect(shop.upstream.requests).toHaveLength(1);
    expect(await shop.cents()).toBe(99);
    await shop.app.check();
  });

  it('is sold to the wallet that pays for it', async () => {
    await using shop = await openShop();
    const { app } = shop;
    const body = { model: 'boats', prompt: 'A boat' };
    const asked = await app.post('/api/v1/image/generate', body);
    expect([asked.status, asked.json['x402Version']]).toEqual([402, 2]);
    // A probe learns how to pay, not its mistakes.
    expect((await app.post('/api/v1/image/generate', {})).status).toBe(402);
    const wallet = await app.evm();
    const pay = { 'payment-signature': await wallet.pay('0.05') };
    expect((await app.post('/api/v1/image/generate', body, pay)).status).toBe(200);
    expect(await app.balanceOf(wallet)).toBe(parseUsd('0.04'));
    await app.check();
  });

  it('gives the hints of Venice to Venice alone', async () => {
    await using shop = await openShop();
    const body = {
      model: 'gpt-image-9',
      prompt: 'A boat',
      format: 'webp',
      safe_mode: true,
      hide_watermark: true,
      quality: 'high',
      width: 1_024,
      height: 1_024,
    };
    expect((await post(shop, '/image/generate', body)).status).toBe(200);
    expect(shop.upstream.requests[0]!.json).toEqual({
      model: 'up',
      prompt: 'A boat',
      output_format: 'webp',
      quality: 'high',
      n: 1,
      size: '1024x1024',
    });
    await shop.app.check();
  });
});

describe('/api/v1/images/generations', () => {
  it('answers one image in OpenAI’s shape', async () => {
    await using shop = await openShop();
    const body = {
      model: 'gpt-image-9',
      prompt: 'A boat',
      n: 1,
      size: 'auto',
      quality: 'auto',
      style: 'vivid',
      user: 'u',
    };
    const inline = await post(shop, '/images/generations', body);
    venice.expectAnswer('post', '/images/generations', 200, inline.json);
    expect(listOf(inline.json['data'])).toEqual([{ b64_json: BASE64 }]);
    const linked = await post(shop, '/images/generations', { ...body, response_format: 'url' });
    venice.expectAnswer('post', '/images/generations', 200, linked.json);
    expect(listOf(linked.json['data'])).toEqual([{ url: `data:image/png;base64,${BASE64}` }]);
    expect(shop.upstream.requests[0]!.json).toEqual({
      model: 'up',
      prompt: 'A boat',
      n: 1,
      size: '1024x1024',
      quality: 'low',
    });
    expect(await shop.cents()).toBe(98);
    await shop.app.check();
  });

  it('takes the usual model where none is named, or one that is not here', async () => {
    await using shop = await openShop((config) => {
      config.models.find(({ id }) => id === 'boats')!.traits = ['default'];
    });
    for (const model of [undefined, 'default', 'dall-e-3', 'larger']) {
      const made = await post(shop, '/images/generations', { model, prompt: 'A boat' });
      expect([model, made.status]).toEqual([model, 200]);
    }
    expect(shop.upstream.requests.every(({ path }) => path === '/image/generate')).toBe(true);
    for (const change of [{ n: 2 }, { size: '10x10' }, { nobody_knows: 1 }]) {
      const made = await post(shop, '/images/generations', { prompt: 'A boat', ...change });
      expect(made.status).toBe(400);
    }
    await shop.app.check();
  });
});

it('/api/v1/image/styles lists what image models know', async () => {
  await using shop = await openShop();
  const styles = await readAnswer(await fetch(`${shop.app.url}/api/v1/image/styles`));
  venice.expectAnswer('get', '/image/styles', 200, styles.json);
  expect(styles.json['data']).toEqual(['Anime', 'Noir']);
});

it('a server that stops while an image is made says where it will be, and does not call it off', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('1');
  const asked = app.post(
    '/api/v1/image/generate',
    { model: 'picture', prompt: 'A boat' },
    { authorization: `Bearer ${secret}` },
  );
  await expect
    .poll(async () => {
      await app.pass();
      return app.studio.jobs.length;
    })
    .toBe(1);
  app.app.tasks.stopWaiting();
  const answer = await asked;
  expect([answer.status, answer.json['code']]).toEqual([503, 'SERVICE_UNAVAILABLE']);
  expect(answer.text).toMatch(/GET \/v1\/tasks\/task_[0-9a-f]{28}/);
  expect(app.studio.jobs[0]!.state).not.toBe('failed');
});
