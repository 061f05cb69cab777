/** `keys create | list | revoke | reset-admin`: in the running server when there is one, else on the data directory itself. */
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { askServer, type ControlRequest } from '../control.ts';
import type { KeyInfo } from '../keys/keys.ts';
import { alone } from './alone.ts';
import { type Command, UsageError } from './command.ts';
import { isMasterKeyVerb, MASTER_KEY_HELP, masterKey } from './master-key.ts';

export const KEYS_HELP = `farebox keys create [--type inference|admin] [--account ID] [--description TEXT] [--expires TIME]
farebox keys list [--limit N] [--offset N]
farebox keys revoke ID
farebox keys reset-admin
  --json    answer as JSON
reset-admin revokes every operator key (ADMIN, of the house) with all that came from it, and makes a new one: for when it is lost.
${MASTER_KEY_HELP}
A key is shown once, when it is made. Without --account it spends on the house. TIME is ISO 8601, such as 2027-01-31T12:00:00Z.`;

const OPTIONS = {
  type: { type: 'string', default: 'inference' },
  account: { type: 'string' },
  description: { type: 'string', default: '' },
  expires: { type: 'string' },
  limit: { type: 'string', default: '100' },
  offset: { type: 'string', default: '0' },
  yes: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

type KeysRequest = Exclude<ControlRequest, { do: 'keys.rotate-master' }>;

interface Values {
  type: string;
  account?: string;
  description: string;
  expires?: string;
  limit: string;
  offset: string;
}

export async function keys(command: Command): Promise<true> {
  const { values, positionals } = parseArgs({
    args: command.arguments,
    allowPositionals: true,
    options: OPTIONS,
  });
  const [verb] = positionals;
  if (positionals.length === 1 && isMasterKeyVerb(verb)) return masterKey(verb, values, command);
  const request = requestOf(positionals, values);
  const config = loadConfig(command.environment, { cwd: command.cwd });
  const answer =
    (await askServer(config.dataDir, request)) ?? (await alone(config, command.pid, request));
  command.print(values.json ? JSON.stringify(answer) : describe(request, answer));
  return true;
}

function requestOf([verb, ...others]: string[], values: Values): KeysRequest {
  const id = verb === 'revoke' ? others.shift() : undefined;
  if (others.length) throw new UsageError(`${others.join(' ')} is too much\n${KEYS_HELP}`);
  switch (verb) {
    case 'create':
      return creation(values);
    case 'list':
      return {
        do: 'keys.list',
        limit: count('limit', values.limit),
        offset: count('offset', values.offset),
      };
    case 'revoke':
      if (id === undefined) throw new UsageError('keys revoke needs the id of a key');
      return { do: 'keys.revoke', id };
    case 'reset-admin':
      return { do: 'keys.reset-admin' };
    default:
      throw new UsageError(`there is no "keys ${verb ?? ''}"\n${KEYS_HELP}`);
  }
}

function creation({ type, account, description, expires }: Values): KeysRequest {
  const upper = type.toUpperCase();
  if (upper !== 'INFERENCE' && upper !== 'ADMIN') {
    throw new UsageError('--type must be inference or admin');
  }
  const expiresAtMs = expires === undefined ? undefined : Date.parse(expires);
  if (expiresAtMs !== undefined && !(expiresAtMs > systemClock.nowMs())) {
    throw new UsageError('--expires must be a time to come, such as 2027-01-31T12:00:00Z');
  }
  return {
    do: 'keys.create',
    type: upper,
    description,
    ...(account !== undefined && { accountId: account }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  };
}

function count(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} must be a whole number`);
}

function describe(request: KeysRequest, answer: unknown): string {
  switch (request.do) {
    case 'keys.create':
    case 'keys.reset-admin': {
      const { id, secret } = answer as { id: string; secret: string };
      return `${secret}\nKeep it: it is not shown again. Its id is ${id}.`;
    }
    case 'keys.revoke':
      return `Revoked ${request.id}.`;
    case 'keys.list': {
      const rows = answer as KeyInfo[];
      return rows.length ? rows.map(line).join('\n') : 'There are no keys.';
    }
  }
}

function line({ id, type, state, last6, expires_at, account_id, description }: KeyInfo): string {
  const until = expires_at === null ? 'never ends' : `ends ${new Date(expires_at).toISOString()}`;
  const shown = [id, type.padEnd(9), state.padEnd(7), `…${last6}`, until, account_id, description];
  return shown.join('  ').trimEnd();
}
