import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { startReceiver } from '../support/receiver.ts';
import { hookBench, HOUR_MS, hookOf } from '../support/webhooks.ts';

describe('the secret', () => {
  it('stays, and after a change signs beside the new one for a day (W-9)', async () => {
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const { secrets } = hooks.webhooks;
    const first = (await secrets.read(hooks.accountId, hooks.clock.ms)).secret;
    expect(first).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const rotated = await secrets.rotate(hooks.accountId, 'test');
    expect(rotated.previousUntil).toBe(hooks.clock.ms + 24 * HOUR_MS);
    expect(rotated.secret).not.toBe(first);
    const deliver = async () => {
      await hooks.enqueue(receiver.origin);
      await hooks.webhooks.deliverDue();
      const got = receiver.requests.at(-1)!;
      return (secret: string) => {
        try {
          return Boolean(new Webhook(secret).verify(got.body.toString(), hookOf(got)));
        } catch {
          return false;
        }
      };
    };
    const both = await deliver();
    expect([both(first), both(rotated.secret)]).toEqual([true, true]);
    expect(receiver.requests.at(-1)!.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    hooks.clock.ms += 24 * HOUR_MS;
    await hooks.enqueue(receiver.origin);
    await hooks.webhooks.deliverDue();
    expect(receiver.requests.at(-1)!.headers['webhook-signature']).toMatch(/^v1,\S+$/);
    expect(await secrets.read(hooks.accountId, hooks.clock.ms)).toMatchObject({
      secret: rotated.secret,
      previousUntil: null,
    });
  });

  it('is one of each account, and is made once by many who ask at the same time', async () => {
    await using hooks = await hookBench();
    const { secrets } = hooks.webhooks;
    const other = await hooks.store.wallet('1');
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => secrets.read(hooks.accountId, hooks.clock.ms)),
    );
    expect(new Set(asked.map(({ secret }) => secret)).size).toBe(1);
    const theirs = await secrets.read(other, hooks.clock.ms);
    expect(theirs.secret).not.toBe(asked[0]!.secret);
    const rows = await hooks.store.ledger.read.selectFrom('webhook_secrets').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(theirs.secret.slice(6));
    // Moved to another account it does not open, and that one gets a new one.
    await hooks.store.ledger.write(({ db }) =>
      db
        .updateTable('webhook_secrets')
        .set({ sealed: rows.find((row) => row.account_id === other)!.sealed })
        .where('account_id', '=', hooks.accountId)
        .execute(),
    );
    const fresh = await secrets.read(hooks.accountId, hooks.clock.ms);
    expect([asked[0]!.secret, theirs.secret]).not.toContain(fresh.secret);
    expect(await secrets.read(hooks.accountId, hooks.clock.ms)).toEqual(fresh);
    expect(hooks.logged).toContainEqual({ event: 'webhook_secret_lost', account: hooks.accountId });
  });
});

describe('a callback_url', () => {
  it('is an address of the public internet by http or https, as far as it can be told (W-4, W-5)', async () => {
    await using hooks = await hookBench({
      outboundOptions: { allowPrivate: [], ports: [443, 80] },
    });
    const { webhooks } = hooks;
    for (const [url, kept] of [
      ['https://hooks.example.com', 'https://hooks.example.com/'],
      ['https://hooks.example.com/in?task=1#top', 'https://hooks.example.com/in?task=1'],
      ['http://hooks.example.com:80/a b', 'http://hooks.example.com/a%20b'],
      ['HTTPS://Hooks.Example.com/', 'https://hooks.example.com/'],
      ['https://1.1.1.1/x', 'https://1.1.1.1/x'],
    ]) {
      expect(webhooks.requireCallback(url)).toBe(kept);
    }
    for (const url of [
      'https://0x7f000001/ https://2130706433/ https://127.1/ https://[::ffff:7f00:1]/ https://①②⑦.⓪.⓪.①/',
      'https://[64:ff9b::7f00:1]/ https://0/ https://169.254.169.254/ https://[::1]/ https://10.0.0.1/',
      'https://user@hooks.example.com/ https://u:p@hooks.example.com/ https://hooks.example.com:8443/',
      'http://hooks.example.com:22/ ftp://hooks.example.com/ file:///etc/passwd hooks.example.com',
      `https://hooks.example.com/${'x'.repeat(3_000)}`,
    ].flatMap((line) => line.split(' '))) {
      expect(() => webhooks.requireCallback(url), url).toThrow(
        expect.objectContaining({ code: 'invalid_request', details: { field: 'callback_url' } }),
      );
    }
    for (const value of [null, 1, true, {}, ['https://hooks.example.com'], '', undefined]) {
      expect(() => webhooks.requireCallback(value)).toThrow('callback_url: must be an https URL.');
    }
  });
});
