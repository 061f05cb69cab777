/** Farebox as the bench runs it: live mode, a fresh data directory, funded keys and wallets, the bench's upstream as its channel. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { privateKeyToAccount } from 'viem/accounts';
import { systemClock } from '../../src/clock.ts';
import { openStore, type Store } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { newId } from '../../src/ids.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { parseUsd } from '../../src/money.ts';
import { freePort } from '../free-port.ts';
import { type Child, healthy, SERVER_CPU, startNode } from './process.ts';
import { MODEL, SLOW_MODEL } from './shapes.ts';

/** As many customers as keep a batch from being one row. */
const CUSTOMERS = 32;
const FUNDS = '100000';
export const CHAIN_ID = 8453;

export interface Farebox {
  child: Child;
  port: number;
  origin: string;
  keys: string[];
  privateKeys: `0x${string}`[];
  stop(): Promise<void>;
}

export async function startFarebox(options: {
  upstreamPort: number;
  replay: 'session' | 'single-use';
}): Promise<Farebox> {
  const dataDir = await mkdtemp(join(tmpdir(), 'farebox-bench-'));
  const customers = await fund(dataDir);
  const file = join(dataDir, 'farebox.yaml');
  await writeFile(file, settings(options.upstreamPort, options.replay));
  const port = await freePort();
  const child = startNode(new URL('../../src/main.ts', import.meta.url), ['serve'], {
    cpu: SERVER_CPU,
    // As `npm start` does.
    nodeFlags: ['--max-semi-space-size=8'],
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      DATA_DIR: dataDir,
      FAREBOX_CONFIG: file,
      SANDBOX: '',
      PUBLIC_URL: '',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
    },
  });
  const stop = async () => {
    await child.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await healthy(child, port, '/health');
  } catch (error) {
    await stop();
    throw error;
  }
  return { child, port, origin: `http://127.0.0.1:${port}`, ...customers, stop };
}

async function fund(dataDir: string) {
  const store: Store = await openStore({
    dataDir,
    mode: 'live',
    clock: systemClock,
    log: silentLog,
    onFatal: (error) => {
      throw error;
    },
  });
  const keys: string[] = [];
  const privateKeys: `0x${string}`[] = [];
  for (let n = 0; n < CUSTOMERS; n += 1) {
    const privateKey: `0x${string}` = `0x${randomBytes(32).toString('hex')}`;
    privateKeys.push(privateKey);
    const accountId = await fundedAccount(store, privateKeyToAccount(privateKey).address);
    const key = await store.keys.create({ accountId, type: 'INFERENCE', description: 'bench' });
    keys.push(key.secret);
  }
  await store.close();
  return { keys, privateKeys };
}

function fundedAccount(store: Store, address: string): Promise<string> {
  return store.ledger.write(async (tx) => {
    const wallet = { family: 'eip155' as const, address: address.toLowerCase(), chain: '' };
    const account = await tx.walletAccount(wallet);
    await tx.post({
      kind: 'GRANT',
      ref: newId('grant'),
      debit: SYSTEM.grants,
      credit: account,
      amount: parseUsd(FUNDS),
    });
    return account;
  });
}

/** The rail is there so that wallets may sign in; nothing answers on its facilitator's port, and nothing is settled. */
function settings(upstreamPort: number, replay: string): string {
  const model = (id: string, channel: string) => `
  - id: ${id}
    type: text
    context: 128000
    max_output: 4096
    default_output: 1024
    routes: [{ channel: ${channel}, model: ${id} }]
    price:
      rules:
        - { unit: input_token, per: 1000000, usd: "0.25" }
        - { unit: output_token, per: 1000000, usd: "2" }`;
  const channel = (id: string, path: string) => `
  - id: ${id}
    provider: openai
    base_url: http://127.0.0.1:${upstreamPort}/${path}
    api_key: upstream-key
    concurrency: 4096`;
  return `payments:
  networks:
    - network: eip155:${CHAIN_ID}
      pay_to: "0x1111111111111111111111111111111111111111"
      facilitator: http://127.0.0.1:9
      rpc_url: http://127.0.0.1:9
channels:${channel('main', 'v1')}${channel('slow', 'slow')}
models:${model(MODEL, 'main')}${model(SLOW_MODEL, 'slow')}
siwx: { replay: ${replay}, max_age_seconds: 300, extra_domains: [] }
`;
}
