import { expect, it } from 'vitest';
import { startApp } from '../support/app.ts';
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
