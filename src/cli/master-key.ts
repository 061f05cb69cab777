/** `keys rotate-master | reset-master`: another master key, and what to do when it is gone. */
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { askServer } from '../control.ts';
import { type Reset, resetMasterKey } from '../ledger/reset-master.ts';
import type { Rotated } from '../master-key.ts';
import { alone } from './alone.ts';
import { type Command, UsageError } from './command.ts';

export const MASTER_KEY_HELP = `farebox keys rotate-master
farebox keys reset-master --yes
rotate-master wraps every secret under the key in FAREBOX_NEW_MASTER_KEY, or, where the key lives in DATA_DIR/master.key, under a fresh one.
It breaks nothing, and may be run again when it was interrupted. reset-master is for a master key that is lost, with no server running:
money stays as it is, every API key is revoked and stored provider keys are lost.`;

export type MasterKeyVerb = 'rotate-master' | 'reset-master';

export function isMasterKeyVerb(verb: string | undefined): verb is MasterKeyVerb {
  return verb === 'rotate-master' || verb === 'reset-master';
}

export async function masterKey(
  verb: MasterKeyVerb,
  { json, yes }: { json: boolean; yes: boolean },
  command: Command,
): Promise<true> {
  const config = loadConfig(command.environment, { cwd: command.cwd });
  const answer = verb === 'rotate-master' ? await rotate(config, command.pid) : null;
  if (answer) {
    command.print(json ? JSON.stringify(answer) : describeRotation(answer));
    return true;
  }
  if (!yes) throw new UsageError('keys reset-master gives up every API key: say --yes');
  const { dataDir, secrets } = config;
  const reset = await resetMasterKey({
    dataDir,
    configured: secrets.masterKey,
    next: secrets.newMasterKey,
    pid: command.pid,
    nowMs: systemClock.nowMs(),
  });
  command.print(json ? JSON.stringify(reset) : describeReset(reset));
  return true;
}

async function rotate(config: Config, pid: number): Promise<Rotated> {
  const newKey = config.secrets.newMasterKey?.toString('base64') ?? null;
  const request = { do: 'keys.rotate-master', newKey } as const;
  const answer = (await askServer(config.dataDir, request)) ?? (await alone(config, pid, request));
  return answer as Rotated;
}

function describeRotation({ isNew, keptIn }: Rotated): string {
  const done = isNew ? 'The master key was changed.' : 'The new master key was in use already.';
  const then =
    keptIn === 'master.key'
      ? 'It is in DATA_DIR/master.key.'
      : 'Set FAREBOX_MASTER_KEY to the value of FAREBOX_NEW_MASTER_KEY before the next start, and unset the latter.';
  return `${done} ${then} Backups made before it need the old one.`;
}

function describeReset(reset: Reset): string {
  const { keptIn, apiKeysRevoked, providerKeysLost, paymentsUnderWay } = reset;
  const lines = [
    `There is a new master key (${keptIn}). API keys revoked: ${apiKeysRevoked}. Provider keys lost: ${providerKeysLost}. Money is as it was.`,
    'Make a new operator key with keys create --type admin.',
  ];
  if (paymentsUnderWay.length) {
    lines.push(`Look on the chain for these payments: ${paymentsUnderWay.join(', ')}.`);
  }
  return lines.join('\n');
}
