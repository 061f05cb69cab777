import { expect, it } from 'vitest';
import type { BackupStatus, BooksStatus } from '../../src/operator/upkeep.ts';
import { startApp } from '../support/app.ts';
import { operator } from '../support/operator.ts';
import { site } from '../support/site.ts';
import { manualClock } from '../support/store.ts';

const because = { reason: 'for a test' };

it('says on the overview what wants an eye, with the page where it is looked into', async () => {
  const clock = manualClock();
  await using app = await startApp({ clock });
  const boss = await site(app);
  const { accountId } = await app.key('1');
  expect(await boss.page('/admin')).toContain('Nothing wants your attention.');
  await boss.send(`/admin/accounts/${accountId}`, { state: 'frozen', ...because });
  const [, channel = ''] = /id="([^"]+)" aria-label/.exec(await boss.page('/admin/channels'))!;
  await boss.send(`/admin/channels/${channel}`, { isOn: 'no', ...because });
  const wallet = await app.evm();
  const paid = { 'payment-signature': await wallet.pay('5') };
  expect((await app.post('/x402/top-up', {}, paid)).status).toBe(200);
  await app.post('/x402/payouts', {}, { 'sign-in-with-x': await wallet.signIn() });
  clock.ms += 6_000;
  const text = await boss.page('/admin');
  expect(text).toContain('<a href="/admin/accounts?state=frozen">Frozen accounts: 1</a>');
  expect(text).toContain(`<a href="/admin/channels">Channel ${channel} is turned off</a>`);
  expect(text).toContain('<a href="/admin/payouts?state=requested">Wallets that want');
  expect(text).not.toContain('Nothing wants your attention.');
});

it('says how backups and the books stand, on the overview and in the figures', async () => {
  const clock = manualClock();
  const HOUR = 3_600_000;
  const backups: BackupStatus = {
    everyMs: 6 * HOUR,
    lastAtMs: clock.ms,
    lastBytes: 5_000,
    failures: 0,
    problem: null,
  };
  const books: BooksStatus = { checkedAtMs: clock.ms, faults: 0, first: null, problem: null };
  await using app = await startApp({
    clock,
    site: {
      environment: {},
      cwd: '/',
      apply: () => Promise.reject(new Error('not here')),
      runSelf: () => Promise.reject(new Error('not here')),
      spawnSelf: () => {
        throw new Error('not here');
      },
      upkeep: { backups: () => backups, books: () => books },
    },
  });
  const boss = await site(app);
  const { secret } = await operator(app);
  const figures = async () => {
    const { text } = await app.get('/metrics', { authorization: `Bearer ${secret}` });
    return text.match(/^farebox_(backup|books)_\w+ \S+$/gm);
  };
  expect(await boss.page('/admin')).toContain('Nothing wants your attention.');
  const atSeconds = clock.ms / 1_000;
  expect(await figures()).toEqual([
    'farebox_backup_interval_seconds 21600',
    `farebox_backup_last_success_timestamp_seconds ${atSeconds}`,
    'farebox_backup_last_bytes 5000',
    'farebox_backup_failures_total 0',
    'farebox_books_faults 0',
    `farebox_books_checked_timestamp_seconds ${atSeconds}`,
  ]);
  clock.ms += 13 * HOUR;
  const hostile = '<script>window.hit=1</script>';
  Object.assign(backups, { problem: `no room ${hostile}`, failures: 2 });
  Object.assign(books, { faults: 3, first: 'accounts acc_1 has a wrong sum' });
  // A session has ended by then.
  const text = await (await site(app)).page('/admin');
  expect(text).toContain('The newest backup is 13 hours old');
  expect(text).toContain('The last backup failed: no room &lt;script&gt;');
  expect(text).toContain('The books do not add up, 3 faults, the first: accounts acc_1');
  expect(await figures()).toContain('farebox_books_faults 3');
});

it('tells no figures of backups and books where nobody looks after them', async () => {
  await using app = await startApp();
  const { secret } = await operator(app);
  const { text } = await app.get('/metrics', { authorization: `Bearer ${secret}` });
  expect(text).toContain('# TYPE farebox_backup_last_success_timestamp_seconds gauge');
  expect(text).not.toMatch(/^farebox_(backup_last|backup_interval|books)\w* /m);
});
