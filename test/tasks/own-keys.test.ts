import { expect, it } from 'vitest';
import { nanoUsd, parseUsd } from '../../src/money.ts';
import { say } from '../support/studio.ts';
import {
  CLIP,
  expectMoney,
  studioChannel,
  type TaskBench,
  taskBench,
  videoModel,
  walletPrincipal,
} from '../support/tasks.ts';

const OWN = 'sk-own-0123456789abcdef';
/** Of a clip of 6 seconds for six cents: ten percent and a tenth of a cent. */
const FEE = { percent: '10', perRequest: parseUsd('0.001') };
const FEE_OF_CLIP = CLIP / 10 + 1_000_000;

function bench(): Promise<TaskBench> {
  return taskBench({
    fee: FEE,
    channels: (studio) => [
      studioChannel(studio, { vendor: 'acme' }),
      studioChannel(studio, { id: 'other', vendor: null, priority: 1 }),
    ],
    models: [
      videoModel({
        routes: [
          { channel: 'studio', model: 'clip' },
          { channel: 'other', model: 'clip' },
        ],
      }),
    ],
  });
}

async function owner(made: TaskBench): Promise<{ account: string; keyId: string }> {
  const account = await made.store.wallet('10');
  const stored = { vendor: 'acme', key: OWN, label: '' };
  const { id } = await made.vault.store({ accountId: account }, stored, 'test');
  return { account, keyId: id };
}

it('goes over the key that its owner stored, from start to end, and costs the fee', async () => {
  await using made = await bench();
  const { account } = await owner(made);
  made.studio.usually = { looksToEnd: 2, state: 'processing', units: { output_second: 3 } };
  const task = await made.make({}, account);
  expect(task).toMatchObject({ held: FEE_OF_CLIP, isOwnKey: true });
  const done = await made.finish(task.id);
  expect(done).toMatchObject({ state: 'completed', charged: CLIP / 20 + 1_000_000 });
  expect(new Set(made.studio.saw)).toEqual(new Set([`Bearer ${OWN}`]));
  await expectMoney(made, account, done.charged);
  const { hold_id, channel_id } = await made.row(task.id);
  expect(channel_id).toBe('studio');
  const { usage } = await made.store.ledger.read
    .selectFrom('holds')
    .select('usage')
    .where('id', '=', hold_id)
    .executeTakeFirstOrThrow();
  // The operator pays nobody for it.
  expect(JSON.parse(usage!)).toMatchObject({ byok: 'acme', upstream_nano: 0 });
  // Somebody else's goes over the operator's key, at the price.
  const stranger = await made.store.wallet('10');
  const other = await made.make({}, stranger);
  expect(other).toMatchObject({ held: CLIP, isOwnKey: false });
  await made.finish(other.id);
  expect(made.studio.saw.at(-1)).not.toContain(OWN);
  await expectMoney(made, stranger, CLIP / 2);
});

it('is called off over that key too', async () => {
  await using made = await bench();
  const { account } = await owner(made);
  made.studio.usually = { looksToEnd: 99, state: 'processing' };
  const { id } = await made.make({}, account);
  await made.pass();
  await made.tasks.cancel(walletPrincipal(account), id);
  expect(made.studio.saw).toEqual([`Bearer ${OWN}`, `Bearer ${OWN}`]);
  await expectMoney(made, account, 0);
});

it('fails where the vendor does not take the key: nobody else’s is tried', async () => {
  await using made = await bench();
  const { account } = await owner(made);
  made.studio.onSubmit = [(response) => say(response, 401, {})];
  const { id } = await made.make({}, account);
  const done = await made.finish(id);
  expect(done).toMatchObject({ state: 'failed', error: { code: 'provider_key_refused' } });
  expect(made.studio.saw).toEqual([`Bearer ${OWN}`]);
  await expectMoney(made, account, 0);
});

it('fails where the key is removed before it begins, and never goes over the operator’s', async () => {
  await using made = await bench();
  const { account, keyId } = await owner(made);
  const { id } = await made.make({}, account);
  await made.vault.remove(keyId, account, 'test');
  await made.pass();
  const row = await made.row(id);
  expect(row).toMatchObject({ state: 'failed', error_code: 'provider_key_refused' });
  expect(made.studio.saw).toEqual([]);
  await expectMoney(made, account, 0);
});

it('ends when its time is over where the key is removed while it is made', async () => {
  await using made = await bench();
  const { account, keyId } = await owner(made);
  made.studio.usually = { looksToEnd: 2, state: 'processing' };
  const first = await made.make({}, account);
  await made.pass();
  await made.vault.remove(keyId, account, 'test');
  await made.pass(60_000);
  expect((await made.row(first.id)).ended_at).toBeNull();
  const stored = { vendor: 'acme', key: OWN, label: '' };
  const { id } = await made.vault.store({ accountId: account }, stored, 'test');
  expect((await made.finish(first.id)).state).toBe('completed');
  const second = await made.make({}, account);
  await made.pass();
  await made.vault.remove(id, account, 'test');
  await made.pass(30 * 60_000);
  expect((await made.row(second.id)).state).toBe('expired');
  await expectMoney(made, account, nanoUsd(FEE_OF_CLIP));
});
