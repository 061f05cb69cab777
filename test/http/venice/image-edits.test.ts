import { describe, expect, it } from 'vitest';
import { BASE64, openShop, PNG, post, raw, venice } from '../../support/images.ts';

describe('images of images', () => {
  const file = () => new Blob([new Uint8Array(PNG)], { type: 'image/png' });
  const form = (fields: Record<string, string>, ...names: string[]) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(fields)) data.append(name, value);
    for (const name of names) data.append(name, file(), 'a.png');
    return data;
  };
  const IMAGES: [path: string, body: object | FormData, sent: [path: string, json: object]][] = [
    [
      '/image/upscale',
      { image: BASE64, scale: 4 },
      ['/image/upscale', { image: BASE64, scale: 4 }],
    ],
    [
      '/image/upscale',
      { image: BASE64, enhance: true },
      ['/image/upscale', { image: BASE64, scale: 2 }],
    ],
    [
      '/image/upscale',
      form({ scale: '4' }, 'image'),
      ['/image/upscale', { image: BASE64, scale: 4 }],
    ],
    [
      '/image/edit',
      {
        image: 'https://a.example.com/a.png',
        prompt: 'Red',
        aspect_ratio: '16:9',
        resolution: '2K',
        safe_mode: false,
      },
      [
        '/image/edit',
        {
          model: 'up',
          image: 'https://a.example.com/a.png',
          prompt: 'Red',
          aspect_ratio: '16:9',
          resolution: '2K',
          safe_mode: false,
        },
      ],
    ],
    [
      '/image/edit',
      form({ prompt: 'Red', modelId: 'brush', safe_mode: 'false', aspect_ratio: 'auto' }, 'image'),
      [
        '/image/edit',
        {
          model: 'up',
          image: BASE64,
          prompt: 'Red',
          aspect_ratio: '1:1',
          resolution: '1K',
          safe_mode: false,
        },
      ],
    ],
    [
      '/image/multi-edit',
      { images: [BASE64, BASE64], prompt: 'Both' },
      [
        '/image/multi-edit',
        {
          modelId: 'up',
          images: [BASE64, BASE64],
          prompt: 'Both',
          aspect_ratio: '1:1',
          resolution: '1K',
        },
      ],
    ],
    [
      '/image/multi-edit',
      form({ prompt: 'Both' }, 'images', 'images'),
      [
        '/image/multi-edit',
        {
          modelId: 'up',
          images: [BASE64, BASE64],
          prompt: 'Both',
          aspect_ratio: '1:1',
          resolution: '1K',
        },
      ],
    ],
    [
      '/image/background-remove',
      { image: BASE64 },
      ['/image/background-remove', { image: BASE64 }],
    ],
    [
      '/image/background-remove',
      { image_url: 'https://a.example.com/a.png' },
      ['/image/background-remove', { image_url: 'https://a.example.com/a.png' }],
    ],
    [
      '/image/background-remove',
      form({}, 'image'),
      ['/image/background-remove', { image: BASE64 }],
    ],
  ];

  it.each(IMAGES)('are answered as bytes: %s', async (path, body, [to, json]) => {
    await using shop = await openShop();
    if (!(body instanceof FormData)) expect(venice.allowsBody('post', path, body)).toBe(true);
    const made = await raw(shop, path, body);
    expect([made.status, made.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(made.bytes.equals(PNG)).toBe(true);
    expect(made.headers.get('x-request-cost')).toBe('0.01');
    const [sent] = shop.upstream.requests;
    expect([sent!.path, sent!.json]).toEqual([to, json]);
    expect(await shop.cents()).toBe(99);
    await shop.app.check();
  });

  it('name what is wrong', async () => {
    await using shop = await openShop();
    const wrong: [path: string, body: object, field: string][] = [
      ['/image/upscale', {}, 'image'],
      ['/image/upscale', { image: BASE64, scale: 5 }, 'scale'],
      ['/image/upscale', { image: BASE64, scale: 3 }, 'factor'],
      ['/image/edit', { image: BASE64 }, 'prompt'],
      ['/image/edit', { prompt: 'Red' }, 'image'],
      ['/image/edit', { image: BASE64, prompt: 'Red', nobody_knows: 1 }, 'nobody_knows'],
      ['/image/edit', { image: BASE64, prompt: 'Red', enhance_prompt: true }, 'enhance_prompt'],
      ['/image/multi-edit', { images: [], prompt: 'Both' }, 'images'],
      ['/image/background-remove', {}, 'image'],
      ['/image/background-remove', { image_url: 'a.png' }, 'image_url'],
    ];
    for (const [path, body, field] of wrong) {
      const made = await post(shop, path, body);
      expect([path, field, made.status]).toEqual([path, field, 400]);
      expect(made.text).toContain(field);
    }
    expect(shop.upstream.requests).toHaveLength(0);
    await shop.app.check();
  });

  it('are not sold where there is no model for them', async () => {
    await using shop = await openShop((config) => {
      config.models = config.models.filter(({ type }) => type === 'text');
    });
    const made = await post(shop, '/image/upscale', { image: BASE64 });
    expect([made.status, made.text.includes('model')]).toEqual([400, true]);
    await shop.app.check();
  });
});
