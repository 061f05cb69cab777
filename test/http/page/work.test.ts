import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp, textOf } from '../../support/app.ts';
import { type Site, site } from '../../support/site.ts';

const because = { reason: 'for a test' };

describe('the site’s pages about work', () => {
  let app: TestApp;
  let boss: Site;
  let key: Record<string, string>;
  beforeAll(async () => {
    app = await startApp();
    const { secret } = await app.key('3');
    key = { authorization: `Bearer ${secret}` };
    expect((await app.chat(key)).status).toBe(200);
    boss = await site(app);
  });
  afterAll(async () => {
    await app.check();
    await app[Symbol.asyncDispose]();
  });

  it('says how business goes, and what lies on the chains', async () => {
    const text = await boss.page('/admin');
    expect(text).toMatch(/data-figure="today.calls">1</);
    expect(text).toMatch(/data-figure="month.revenue">\$0\.0/);
    expect(text).toContain('Nothing wants your attention.');
    expect(await boss.page('/admin')).toContain('On chain, Base Sepolia');
  });

  it('tells figures as they change', async () => {
    const answer = await fetch(`${app.url}/admin/live`, { headers: { cookie: boss.cookie } });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const reader = answer.body!.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toMatch(/^event: figures\ndata: \{"liabilities":"\$/);
    await reader.cancel();
  });

  it('estimates any request as the API does', async () => {
    const body = { model: 'demo-chat', input_tokens: 1_000, max_tokens: 100 };
    const told = await app.post('/v1/credits/estimate', body);
    const shown = await boss.send('/admin/models/estimate', { body: JSON.stringify(body) });
    expect(shown.text).toContain(`$${textOf(told.json['usd']!['max'])}`);
    const wrong = await boss.send('/admin/models/estimate', { body: '[' });
    expect([wrong.status, wrong.text]).toEqual([400, expect.stringContaining('JSON object')]);
    expect(await boss.page('/admin/models?type=text')).toContain('demo-chat');
  });

  it('turns a channel off and on, says so on the overview, and tests it', async () => {
    const text = await boss.page('/admin/channels');
    const [, id = ''] = /id="([^"]+)" aria-label/.exec(text)!;
    const at = `/admin/channels/${id}`;
    expect((await boss.send(at, { isOn: 'no' })).status).toBe(400);
    expect((await boss.send(at, { isOn: 'no', ...because })).status).toBe(303);
    expect((await app.chat(key)).status).toBe(503);
    expect((await boss.send(at, { isOn: 'yes', ...because })).status).toBe(303);
    expect((await app.chat(key)).status).toBe(200);
    expect((await boss.send(`${at}/test`, {})).text).toMatch(
      /it answers|does not work|not testable/,
    );
    expect((await boss.send('/admin/channels/none/test', {})).status).toBe(404);
  });

  it('draws usage and gives it as CSV', async () => {
    const text = await boss.page('/admin/usage');
    const [, json = ''] = /data-plot="([^"]+)"/.exec(text)!;
    const plot = JSON.parse(json.replaceAll('&quot;', '"')) as { x: number[] };
    expect(plot.x).toHaveLength(30);
    const answer = await fetch(`${app.url}/admin/usage.csv`, { headers: { cookie: boss.cookie } });
    const [head, first] = (await answer.text()).split('\r\n');
    expect(head).toBe('date,model,calls,revenue_usd,upstream_usd,cost_unknown');
    expect(first).toMatch(/^\d{4}-\d\d-\d\d,demo-chat,\d+,0\.0/);
  });

  it('has lists of tasks and webhooks', async () => {
    expect(await boss.page('/admin/tasks')).toContain('No task is like that.');
    expect(await boss.page('/admin/webhooks?state=failed')).toContain('No webhook is like that.');
  });

  it('has a page behind every entry of its menu', async () => {
    const { MENU } = await import('../../../src/http/page/layout.ts');
    const paths = app.app.pages.filter(({ method }) => method === 'get').map(({ path }) => path);
    for (const { path } of MENU) expect(paths).toContain(path);
  });
});
