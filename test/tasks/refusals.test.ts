import { expect, it } from 'vitest';
import { say } from '../support/studio.ts';
import { CLIP, expectMoney, taskBench, walletPrincipal } from '../support/tasks.ts';

it('asks an upstream that refused to cancel no more for a while, so that the task is done all the same', async () => {
  await using bench = await taskBench();
  const { store, studio, tasks } = bench;
  const account = await store.wallet('10');
  let asked = 0;
  studio.usually = { looksToEnd: 99, state: 'processing' };
  studio.onCancel = (response) => {
    asked += 1;
    say(response, 500, {});
  };
  const { id } = await bench.make({}, account);
  await bench.pass();
  const cancel = () => tasks.cancel(walletPrincipal(account), id);
  const refused = () => expect(cancel()).rejects.toMatchObject({ code: 'upstream_failed' });
  await Promise.all([refused(), refused(), refused()]);
  expect(asked).toBe(1);
  const { lease_epoch: epoch } = await bench.row(id);
  for (let n = 0; n < 20; n += 1) await refused();
  // Whoever copies its result is not disturbed.
  expect(await bench.row(id)).toMatchObject({ lease_epoch: epoch });
  store.clock.ms += 10_000;
  await refused();
  store.clock.ms += 10_000;
  await refused();
  expect(asked).toBe(2);
  store.clock.ms += 10_000;
  await refused();
  expect(asked).toBe(3);
  studio.jobOf(id).state = 'completed';
  await bench.finish(id);
  await expect(cancel()).rejects.toMatchObject({ code: 'state_conflict' });
  await expectMoney(bench, account, CLIP);
});

it('tells all who cancel at once that it is cancelled', async () => {
  await using bench = await taskBench();
  const account = await bench.store.wallet('10');
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const { id } = await bench.make({}, account);
  await bench.pass();
  const cancels = Array.from({ length: 10 }, () =>
    bench.tasks.cancel(walletPrincipal(account), id),
  );
  for (const { state } of await Promise.all(cancels)) expect(state).toBe('cancelled');
  await expectMoney(bench, account, 0);
});
