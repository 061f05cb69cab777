import { describe, expect, it } from 'vitest';
import { startApp } from '../support/app.ts';

const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

describe('a server that is not set up', () => {
  it('tells browsers on a page what to do, and programs in JSON', async () => {
    await using app = await startApp({
      change: (config) => {
        config.server.host = '0.0.0.0';
      },
    });
    for (const path of ['/', '/reference', '/balance']) {
      const page = await app.get(path, BROWSER);
      expect([path, page.status, page.headers.get('retry-after')]).toEqual([path, 503, '60']);
      expect(page.headers.get('content-type')).toContain('text/html');
      expect(page.text).toContain('claim link');
      expect(page.text).toContain(`ssh -L ${app.port}:127.0.0.1:${app.port}`);
      const { status, json } = await app.get(path);
      expect([status, json['error']!['code']]).toEqual([503, 'not_configured']);
    }
    expect((await app.get('/site.css')).status).toBe(200);
    const { json } = await app.get('/v1/models', BROWSER);
    expect(json['error']!['code']).toBe('not_configured');
    const login = await app.get('/admin', BROWSER);
    expect(login.text).toContain('This server has no operator yet');
    const { secret } = await app.app.store.keys.create(
      { type: 'ADMIN', description: 'first' },
      { actor: 'cli' },
    );
    expect(secret).toMatch(/^ak_/);
    expect((await app.get('/admin', BROWSER)).text).not.toContain('no operator yet');
  });
});
