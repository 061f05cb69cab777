import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeBackup } from '../../src/backup/backup.ts';
import { restoreBackup } from '../../src/backup/restore.ts';
import { verifyStore } from '../../src/verify.ts';
import { textOf } from '../support/app.ts';
import { type MediaApp, startMediaApp } from '../support/media-app.ts';
import { startReceiver } from '../support/receiver.ts';

const CLIP = { model: 'seedance-2-fast', prompt: 'a cat', duration: 6, resolution: '720p' };

async function made(app: MediaApp, callback: string) {
  const { secret, accountId } = await app.key('5', 'ADMIN');
  const headers = { authorization: `Bearer ${secret}` };
  const { json } = await app.post('/v1/videos', { ...CLIP, callback_url: callback }, headers);
  const id = textOf(json['id']);
  for (let turn = 0; turn < 5; turn += 1) await app.pass(2_000);
  const [row] = await app.app.media.ofTasks([id]);
  const path = join(app.dataDir, 'media', row!.id.slice(4, 6), row!.id);
  return { id, accountId, media: row!, path };
}

async function faults(app: MediaApp) {
  return (await verifyStore({ dataDir: app.dataDir, nowMs: app.clock.ms })).faults;
}

it('verify finds results that are gone or cut, and nothing wrong with those that were deleted (I26)', async () => {
  await using receiver = await startReceiver();
  await using app = await startMediaApp();
  const [cut, lost, deleted, whole] = [
    await made(app, receiver.origin),
    await made(app, receiver.origin),
    await made(app, receiver.origin),
    await made(app, receiver.origin),
  ];
  expect(whole.media.content_type).toBe('video/mp4');
  await app.app.media.deleteOfTask(deleted.accountId, deleted.id, 'owner');
  expect(await faults(app)).toEqual([]);
  await truncate(cut.path, 5);
  await rm(lost.path);
  const found = await faults(app);
  expect(found).toHaveLength(2);
  expect(found).toEqual(
    expect.arrayContaining([
      {
        invariant: 5,
        row: `media ${cut.media.id}`,
        message: `has 5 bytes, not ${cut.media.bytes}`,
      },
      { invariant: 5, row: `media ${lost.media.id}`, message: 'its file is not there' },
    ]),
  );
});

it('verify finds ended tasks whose callback nobody tells (I25), and results of others', async () => {
  await using receiver = await startReceiver();
  await using app = await startMediaApp();
  const [untold, taken, empty] = [
    await made(app, receiver.origin),
    await made(app, receiver.origin),
    await made(app, receiver.origin),
  ];
  await app.app.webhooks.deliverDue();
  expect(await faults(app)).toEqual([]);
  await app.app.store.ledger.write(async ({ db }) => {
    await db.deleteFrom('webhook_deliveries').where('task_id', '=', untold.id).execute();
    const change = { account_id: untold.accountId };
    await db.updateTable('media').set(change).where('task_id', '=', taken.id).execute();
    await db.deleteFrom('media').where('task_id', '=', empty.id).execute();
  });
  const found = await faults(app);
  expect(found.map(({ row, message }) => `${row} ${message}`).toSorted()).toEqual([
    `media ${taken.media.id} is of another account than its task ${taken.id}`,
    ...[
      `tasks ${empty.id} is completed and has no result`,
      `tasks ${untold.id} has ended, and its callback is told nothing`,
    ].toSorted(),
  ]);
});

it('a backup of a shop that made something is restored into an empty directory, which then lacks its results', async () => {
  await using receiver = await startReceiver();
  await using app = await startMediaApp();
  const { media } = await made(app, receiver.origin);
  const folder = await mkdtemp(join(tmpdir(), 'farebox-restored-'));
  try {
    const file = join(folder, 'backup.tgz');
    const nowMs = app.clock.ms;
    await makeBackup({ dataDir: app.dataDir, target: file, passphrase: null, nowMs });
    const dataDir = join(folder, 'data');
    const restored = await restoreBackup({
      file,
      dataDir,
      passphrase: null,
      acceptRollback: false,
      masterKey: null,
      networks: [],
      pid: 0,
      nowMs,
    });
    expect(restored.results).toBe(1);
    const lacks = { invariant: 5, row: `media ${media.id}`, message: 'its file is not there' };
    expect((await verifyStore({ dataDir, nowMs })).faults).toEqual([lacks]);
    await cp(join(app.dataDir, 'media'), join(dataDir, 'media'), { recursive: true });
    expect((await verifyStore({ dataDir, nowMs })).faults).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
