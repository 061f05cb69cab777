/** What comes from customers, upstreams and chains is text on every page, whatever it looks like. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/ids.ts';
import { MODEL_ID, startApp, type TestApp } from '../../support/app.ts';
import {
  BAIT,
  expectNothingRuns,
  expectText,
  hasChromium,
  HOSTILE,
} from '../../support/hostile.ts';
import { type Site, site } from '../../support/site.ts';

describe('the site before hostile strings (A-3)', () => {
  let app: TestApp;
  let boss: Site;
  let paths: string[];
  beforeAll(async () => {
    app = await startApp({
      change: (config) => {
        const chat = config.models.find(({ id }) => id === MODEL_ID)!;
        BAIT.forEach((bait, n) =>
          config.models.push({
            ...chat,
            id: bait,
            name: bait,
            aliases: [`${bait} ${n}`],
            tier: bait,
          }),
        );
      },
    });
    boss = await site(app);
    paths = await plant(app, boss);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  it('shows them as text, and makes no element or attribute of them', async () => {
    for (const path of paths) expectText(path, await boss.page(path));
    expect(paths.length).toBeGreaterThan(15);
  });

  it.skipIf(!hasChromium)(
    'runs nothing of them in a real browser',
    () => expectNothingRuns(app, boss, paths),
    60_000,
  );
});

/** Into every column that somebody else writes. Answers the pages on which they are shown. */
async function plant(app: TestApp, boss: Site): Promise<string[]> {
  const { accountId, secret } = await app.key('5');
  await app.chat({ authorization: `Bearer ${secret}` });
  const { ledger, keys } = app.app.store;
  for (const bait of BAIT) {
    await keys.create({ accountId, type: 'INFERENCE', description: bait.slice(0, 64) });
    await boss.send(`/admin/accounts/${accountId}/grants`, { amountUsd: '0.01', reason: bait });
    await boss.send('/admin/accounts', { label: bait, creditLineUsd: '0', reason: bait });
  }
  const ids = { payment: newId('pay'), task: newId('task') };
  const [bait] = BAIT;
  const hostile = HOSTILE;
  const hold = await ledger.read.selectFrom('holds').select('id').executeTakeFirstOrThrow();
  await ledger.write(async ({ db, nowMs }) => {
    await db
      .insertInto('payments')
      .values({
        id: ids.payment,
        network: 'eip155:84532',
        asset: 'x',
        identity: hostile,
        payer: hostile,
        pay_to: hostile,
        units: '1000000',
        state: 'failed',
        payment: '{}',
        dialect: 'v2',
        claim: null,
        transaction_id: hostile,
        raw_transaction: null,
        block: hostile,
        is_final: 0,
        account_id: null,
        reason: hostile,
        valid_before: null,
        attempts: 1,
        created_at: nowMs,
        submitted_at: null,
        settled_at: null,
        next_check_at: null,
        is_exposed: 0,
      })
      .execute();
    await db
      .insertInto('webhook_deliveries')
      .values({
        id: newId('whd'),
        account_id: accountId,
        task_id: ids.task,
        event: bait,
        url: 'sealed',
        origin: hostile,
        payload: 'sealed',
        state: 'failed',
        attempts: 9,
        next_at: null,
        last_status: 500,
        last_error: hostile,
        created_at: nowMs,
        since: nowMs,
        delivered_at: null,
      })
      .execute();
    await db
      .insertInto('tasks')
      .values({
        id: ids.task,
        account_id: accountId,
        key_id: null,
        owner: hostile,
        kind: 'video',
        type: 'video',
        model: hostile,
        request_id: hostile,
        lane: 'x',
        queue: null,
        priority: 0,
        channel_id: hostile,
        upstream_model: hostile,
        tried: hostile,
        sealed: null,
        callback: null,
        priced: '{}',
        price_version: 'x',
        hold_id: hold.id,
        held: 0,
        charged: 0,
        state: 'failed',
        submit: 'sent',
        ref: null,
        progress: 0,
        queue_position: null,
        starts: 1,
        polls: 1,
        crashes: 0,
        troubled_since: null,
        lease_epoch: 1,
        next_at: null,
        deadline_at: nowMs,
        error_code: hostile,
        error_message: hostile,
        measured: null,
        upstream_cost: null,
        created_at: nowMs,
        started_at: nowMs,
        ended_at: nowMs,
      })
      .execute();
    await db
      .insertInto('channel_days')
      .values({
        channel_id: 'demo',
        day: Math.floor(nowMs / 86_400_000),
        model: hostile,
        requests: 1,
        revenue: 1,
        upstream: 1,
        uncosted: 0,
      })
      .execute();
  });
  const asked = encodeURIComponent(BAIT[1]!);
  return [
    '/admin',
    `/admin/accounts?search=${asked}`,
    '/admin/accounts',
    `/admin/accounts/${accountId}`,
    `/admin/keys?accountId=${asked}`,
    '/admin/keys',
    '/admin/models',
    `/admin/models?name=${asked}`,
    '/admin/channels',
    '/admin/tasks',
    `/admin/tasks/${ids.task}`,
    '/admin/payments',
    `/admin/payments/${ids.payment}`,
    `/admin/payouts?notice=${asked}`,
    '/admin/webhooks',
    '/admin/usage',
    `/admin/log?target=${asked}`,
    '/admin/log',
  ];
}
