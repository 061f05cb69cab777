/**
 * The task engine over a directory, in a process of its own: finishes what it finds, makes one more task, and is killed right before or
 * right after the write that it is told. Its clock runs fast, and goes on where the last process's was.
 */
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { newTask, taskBench } from './tasks.ts';
import type { TestStore } from './store.ts';
import type { Studio } from './studio.ts';

const [dataDir = '', url = '', callback = '', account = '', since = '', side = '', write = ''] =
  process.argv.slice(2);

/** A minute in a tenth of a second. */
const SPEED = 600;
const FAST = {
  ms: 0,
  nowMs: () => Number(since) + (systemClock.nowMs() - Number(since)) * SPEED,
};
const GIVE_UP_MS = 20_000;

const opened = await openStore({
  dataDir,
  mode: 'sandbox',
  clock: FAST,
  log: silentLog,
  onFatal: (error) => {
    throw error;
  },
});
const wallet = () => Promise.resolve(account);
const store = { ...opened, dataDir, clock: FAST, wallet } as unknown as TestStore;
const bench = await taskBench({ store, studio: { url } as Studio });
const begun = systemClock.nowMs();

await rest();
const { ledger } = opened;
if (side !== '') {
  const run = ledger.write.bind(ledger);
  let left = Number(write);
  ledger.write = async (operation) => {
    left -= 1;
    if (left === 0 && side === 'before') await die();
    const result = await run(operation);
    if (left === 0) await die();
    return result;
  };
  const fields = { model: 'clip', prompt: 'A boat', duration: 6, callback_url: callback };
  await bench.tasks.create(newTask(account, { fields }));
  await rest();
}
await opened.close();
process.exit(0);

/** Until all tasks have ended and everybody was told. */
async function rest(): Promise<void> {
  while (systemClock.nowMs() < begun + GIVE_UP_MS) {
    await bench.tasks.tick();
    const { tasks } = await opened.ledger.read
      .selectFrom('tasks')
      .select((eb) => eb.fn.countAll<number>().as('tasks'))
      .where('state', 'in', ['pending', 'processing'])
      .executeTakeFirstOrThrow();
    const { untold } = await opened.ledger.read
      .selectFrom('webhook_deliveries')
      .select((eb) => eb.fn.countAll<number>().as('untold'))
      .where('state', '=', 'pending')
      .executeTakeFirstOrThrow();
    if (tasks === 0 && untold === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('the tasks never came to rest');
}

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise<never>(() => {});
}
