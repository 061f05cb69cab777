/** Rotates the master key of a directory in a process of its own, which is killed at the step that it is told. */
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';

const [dataDir = '', step = '', current = '', next = ''] = process.argv.slice(2);
const keyOf = (text: string) => (text === '' ? null : Buffer.from(text, 'base64'));

const store = await openStore({
  dataDir,
  mode: 'sandbox',
  masterKey: keyOf(current),
  newMasterKey: keyOf(next),
  clock: systemClock,
  log: silentLog,
  onFatal: (error) => {
    throw error;
  },
});
await store.masterKey.rotate(store.ledger, keyOf(next), {
  actor: 'test',
  at: (now) => {
    if (now === step) process.kill(process.pid, 'SIGKILL');
  },
});
throw new Error(`there was no step ${step}`);
