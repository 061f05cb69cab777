/** Rolls up a directory's usage in steps of one, in a process of its own, which is killed that many milliseconds after its first step. */
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { RollUp } from '../../src/usage/roll-up.ts';

const [dataDir = '', afterMs = ''] = process.argv.slice(2);

const { ledger } = await openStore({
  dataDir,
  mode: 'sandbox',
  clock: systemClock,
  log: silentLog,
  onFatal: (error) => {
    throw error;
  },
});
const rollUp = new RollUp({ ledger, log: silentLog });
await rollUp.step(1);
setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(afterMs));
while (await rollUp.step(1));
throw new Error('it was done before it was killed');
