/**
 * The task engine over a directory, in a process of its own: finishes what it finds, makes one more task, and is killed right before or
 * right after the write that it is told. Its clock begins when it is told.
 */
import { openStore } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { newTask, taskBench } from './tasks.ts';
import type { TestStore } from './store.ts';
import type { Studio } from './studio.ts';

const [dataDir = '', url = '', callback = '', account = '', since = '', side = '', write = ''] =
  process.argv.slice(2);

/** How long a step of it takes by its clock, which only goes on while it works. */
const STEP_MS = 500;
const GIVE_UP_STEPS = 4_000;
const clock = {
  ms: Number(since),
  nowMs() {
    return this.ms;
  },
};

const opened = await openStore({
  dataDir,
  mode: 'sandbox',
  clock,
  log: silentLog,
  onFatal: (error) => {
    throw error;
  },
});
const wallet = () => Promise.resolve(account);
const store = { ...opened, dataDir, clock, wallet } as unknown as TestStore;
const bench = await taskBench({ store, studio: { url } as Studio });

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
  for (let step = 0; step < GIVE_UP_STEPS; step += 1) {
    await bench.tasks.tick();
    clock.ms += STEP_MS;
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
