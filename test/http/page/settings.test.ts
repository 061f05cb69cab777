import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { startApp } from '../../support/app.ts';
import { operatorCookie } from '../../support/operator-site.ts';

describe('the settings page', () => {
  it('shows what is in force, and no secret', async () => {
    const environment = { FAREBOX_MASTER_KEY: randomBytes(32).toString('base64') };
    const s3 = {
      bucket: 'b',
      endpoint: 'https://s3',
      region: 'r',
      prefix: '',
      accessKey: 'ACCESS-SECRET',
      secretKey: 'BUCKET-SECRET',
    };
    const change = (config: Config) => {
      config.backups = { ...config.backups, passphrase: 'PASS-SECRET-PHRASE', s3 };
    };
    await using app = await startApp({ environment, change });
    const cookie = await operatorCookie(app);
    const text = await (await fetch(`${app.url}/admin/settings`, { headers: { cookie } })).text();
    expect(text).toContain('minimum_top_up');
    expect(text).toContain('demo-chat');
    const secrets = [
      environment.FAREBOX_MASTER_KEY,
      'ACCESS-SECRET',
      'BUCKET-SECRET',
      'PASS-SECRET',
    ];
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it('says why a sandbox is not set up', async () => {
    await using app = await startApp({});
    const cookie = await operatorCookie(app);
    const text = await (await fetch(`${app.url}/admin/setup`, { headers: { cookie } })).text();
    expect(text).toContain('This is the sandbox');
  });
});
