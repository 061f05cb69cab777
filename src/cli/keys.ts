/** `keys create | list | revoke`: in the running server when there is one, else on the data directory itself. */
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { openStore } from '../ledger/store.ts';
import { askServer, runControl } from '../control.ts';
import { silentLog } from '../log.ts';
import { type Command, UsageError } from './command.ts';

export const KEYS_HELP = `farebox keys create [--type inference|admin] [--account ID] [--description TEXT] [--expires ISO-TIME]
farebox keys list [--limit N] [--offset N]
farebox keys revoke ID
  --json    answer as JSON
A key is shown once, when it is made. Without --account it belongs to the house account.`;

export async function keys(command: Command): Promise<void> {
  const { values, positionals } = parseArgs({
    args: command.arguments,
    allowPositionals: true,
    options: {
      type: { type: 'string', default: 'inference' },
      account: { type: 'string' },
      description: { type: 'string', default: '' },
      expires: { type: 'string' },
      limit: { type: 'string', default: '100' },
      offset: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
    },
  });
  const request = requestOf(positionals, values);
  const config = loadConfig(command.environment, { cwd: command.cwd });
  const answer =
    (await askServer(config.dataDir, request)) ?? (await alone(config, command.pid, request));
  command.print(values.json ? JSON.stringify(answer) : describe(request['do'], answer));
}

function requestOf(
  [verb, id]: string[],
  values: {
    type: string;
    account?: string;
    description: string;
    expires?: string;
    limit: string;
    offset: string;
  },
): Record<string, unknown> & { do: string } {
  switch (verb) {
    case 'create': {
      const type = values.type.toUpperCase();
      if (type !== 'INFERENCE' && type !== 'ADMIN') {
        throw new UsageError('--type must be inference or admin');
      }
      const expiresAtMs = values.expires === undefined ? null : Date.parse(values.expires);
      if (Number.isNaN(expiresAtMs))
        throw new UsageError('--expires must be a time such as 2027-01-31');
      const { account, description } = values;
      return {
        do: 'keys.create',
        type,
        description,
        expiresAtMs,
        ...(account ? { accountId: account } : {}),
      };
    }
    case 'list':
      return { do: 'keys.list', limit: Number(values.limit), offset: Number(values.offset) };
    case 'revoke':
      if (!id) throw new UsageError('keys revoke needs the id of a key');
      return { do: 'keys.revoke', id };
    default:
      throw new UsageError(`there is no "keys ${verb ?? ''}"\n${KEYS_HELP}`);
  }
}

async function alone(
  config: ReturnType<typeof loadConfig>,
  pid: number,
  request: Record<string, unknown>,
): Promise<unknown> {
  const store = await openStore({
    dataDir: config.dataDir,
    mode: config.mode,
    masterKey: config.secrets.masterKey,
    clock: systemClock,
    log: silentLog,
    pid,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await runControl(store, request);
  } finally {
    await store.close();
  }
}

function describe(verb: string, answer: unknown): string {
  if (verb === 'keys.create') {
    const { id, secret } = answer as { id: string; secret: string };
    return `${secret}\nKeep it: it is not shown again. Its id is ${id}.`;
  }
  if (verb === 'keys.revoke') return 'Revoked.';
  const rows = answer as {
    id: string;
    type: string;
    state: string;
    last4: string;
    description: string;
  }[];
  if (!rows.length) return 'There are no keys.';
  return rows
    .map(
      (row) =>
        `${row.id}  ${row.type.padEnd(9)}  ${row.state.padEnd(7)}  …${row.last4}  ${row.description}`,
    )
    .join('\n');
}
