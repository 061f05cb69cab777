/** The whole server on a free port, in a directory of its own; wallets and keys that use it as anybody would. */
import { hash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bs58 from 'bs58';
import nacl from 'tweetnacl';
import { expect } from 'vitest';
import { type App, createApp, type Overrides } from '../../src/app.ts';
import { formatMessage } from '../../src/auth/siwx-message.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { Config, NetworkConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { nanoUsd, parseUsd, toUsdcUnits } from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';
import { newWallet, paymentHeader, signPayment } from './evm-payment.ts';
import { startUpstream, type TestUpstream } from './upstream.ts';

export const MODEL_ID = 'demo-chat';
/** CAIP-2 id of the sandbox's EVM network. */
export const PLAY_EVM = 'eip155:84532';
export const PLAY_SOLANA = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';

export interface AppOptions extends Overrides {
  /** Changes the settings before the server is built. */
  change?(config: Config): void;
  /** Of an earlier server, to start again on what it left. It is not removed then. */
  dataDir?: string;
  environment?: Record<string, string>;
}

export interface Logged extends LogFields {
  event: string;
}

export interface TestApp extends AsyncDisposable {
  app: App;
  port: number;
  url: string;
  dataDir: string;
  upstream: TestUpstream;
  logged: Logged[];
  /** A wallet that never paid, or one with that much money. */
  evm(usd?: string): Promise<EvmWallet>;
  solana(usd?: string): Promise<SolanaWallet>;
  /** A key of an account of its own with that much money. */
  key(usd?: string, type?: 'INFERENCE' | 'ADMIN'): Promise<{ secret: string; accountId: string }>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** A chat of one message, with these credentials. */
  chat(headers: Record<string, string>, more?: object): Promise<Answer>;
  balanceOf(wallet: { family: 'eip155' | 'solana'; address: string }): Promise<number>;
  /** Fails the test unless every invariant of the ledger holds and no hold is open. */
  check(): Promise<void>;
  /** Stops the server and keeps its directory. */
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Json;
}

/** What comes out of the server is looked into freely by tests, and then compared. */
export interface Json {
  [name: string]: Json;
}

export function textOf(json: Json | undefined): string {
  expect(typeof json).toBe('string');
  return json as unknown as string;
}

export function listOf(json: Json | undefined): Json[] {
  expect(Array.isArray(json)).toBe(true);
  return json as unknown as Json[];
}

export interface EvmWallet {
  family: 'eip155';
  /** Lower-case. */
  address: string;
  signIn(changes?: Record<string, unknown>): Promise<string>;
  /** A payment header's value. */
  pay(
    usd: string,
    dialect?: 'v1' | 'v2' | 'hybrid',
    extra?: Record<string, unknown>,
  ): Promise<string>;
}

export interface SolanaWallet {
  family: 'solana';
  address: string;
  signIn(): Promise<string>;
}

export function chatBody(more: object = {}): Record<string, unknown> {
  return { model: MODEL_ID, messages: [{ role: 'user', content: 'Hello?' }], ...more };
}

export async function startApp(options: AppOptions = {}): Promise<TestApp> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'farebox-app-')));
  const environment = { SANDBOX: '1', PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir };
  const config = loadConfig({ ...environment, ...options.environment }, { cwd: dataDir });
  options.change?.(config);
  const upstream = await startUpstream();
  const logged: Logged[] = [];
  const app = await createApp(config, {
    log: recordingLog(logged),
    demoUrl: upstream.url,
    ...options,
  });
  const port = await app.listen();
  const url = `http://127.0.0.1:${port}`;
  const clock = options.clock ?? systemClock;
  const { store } = app;
  const ask = async (path: string, init: RequestInit) => readAnswer(await fetch(url + path, init));
  const post: TestApp['post'] = (path, body, headers = {}) =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  let isRunning = true;
  const stop = async () => {
    if (isRunning) await app.close();
    isRunning = false;
    await upstream.close();
  };
  const grant = async (wallet: { family: 'eip155' | 'solana'; address: string }, usd: string) => {
    await store.ledger.write(async (tx) => {
      const { family, address } = wallet;
      const credit = await tx.walletAccount({ family, address, chain: '' });
      const amount = parseUsd(usd);
      const ref = `grant ${address} ${randomBytes(4).toString('hex')}`;
      if (amount > 0) await tx.post({ kind: 'GRANT', ref, debit: SYSTEM.grants, credit, amount });
    });
  };
  return {
    app,
    port,
    url,
    dataDir,
    upstream,
    logged,
    evm: async (usd) => {
      const network = config.payments.networks.find(({ family }) => family === 'eip155');
      const wallet = evmWallet(url, network, clock);
      if (usd !== undefined) await grant(wallet, usd);
      return wallet;
    },
    solana: async (usd) => {
      const wallet = solanaWallet(url, clock);
      if (usd !== undefined) await grant(wallet, usd);
      return wallet;
    },
    key: async (usd = '1', type = 'INFERENCE') => {
      const address = `0x${randomBytes(20).toString('hex')}`;
      const wallet = { family: 'eip155' as const, address, chain: '' };
      await grant(wallet, usd);
      const accountId = (await store.accounts.walletAccount(wallet))!;
      const { secret } = await store.keys.create({ accountId, type, description: 'test' });
      return { secret, accountId };
    },
    post,
    get: (path, headers = {}) => ask(path, { headers }),
    chat: (headers, more) => post('/v1/chat/completions', chatBody(more), headers),
    balanceOf: async ({ family, address }) => {
      const accountId = await store.accounts.walletAccount({ family, address, chain: '' });
      const { posted, held } = await store.accounts.balance(accountId);
      return nanoUsd(posted - held);
    },
    check: async () => {
      const { faults, openHolds } = await verifyStore({ dataDir, nowMs: clock.nowMs() });
      expect(faults).toEqual([]);
      expect(openHolds).toBe(0);
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const isJson = headers.get('content-type')?.startsWith('application/json') ?? false;
  return { status, headers, text, json: (isJson ? JSON.parse(text) : {}) as Json };
}

/** What a base64 header says. */
export function decoded(header: string | null): Json {
  expect(header).not.toBeNull();
  return JSON.parse(Buffer.from(header!, 'base64').toString()) as Json;
}

function evmWallet(url: string, network: NetworkConfig | undefined, clock: Clock): EvmWallet {
  const account = newWallet();
  const address = account.address.toLowerCase();
  return {
    family: 'eip155',
    address,
    signIn: async (changes = {}) => {
      const chainId = network?.network.slice('eip155:'.length) ?? '84532';
      const message = formatMessage('eip155', {
        ...signInFields(url, account.address, chainId, clock),
        ...changes,
      });
      const signature = await account.signMessage({ message });
      return base64({ address: account.address, message, signature, chainId: Number(chainId) });
    },
    pay: async (usd, dialect = 'v2', extra = {}) => {
      if (!network) throw new Error('this server takes no payments on EVM');
      const units = toUsdcUnits(parseUsd(usd));
      const nowSeconds = Math.floor(clock.nowMs() / 1_000);
      const payload = await signPayment(account, network, units, nowSeconds);
      return paymentHeader(dialect, network, payload, extra);
    },
  };
}

function solanaWallet(url: string, clock: Clock): SolanaWallet {
  const keys = nacl.sign.keyPair();
  const address = bs58.encode(keys.publicKey);
  return {
    family: 'solana',
    address,
    signIn: () => {
      const chainId = PLAY_SOLANA.slice('solana:'.length);
      const message = formatMessage('solana', signInFields(url, address, chainId, clock));
      const signature = bs58.encode(nacl.sign.detached(Buffer.from(message), keys.secretKey));
      const fields = { address, message, signature, chainId: PLAY_SOLANA, type: 'ed25519' };
      return Promise.resolve(base64(fields));
    },
  };
}

function signInFields(url: string, address: string, chainId: string, clock: Clock) {
  return {
    domain: new URL(url).host,
    address,
    statement: 'Sign in',
    uri: `${url}/v1/chat/completions`,
    version: '1',
    chainId,
    nonce: hash('sha256', randomBytes(16)).slice(0, 16),
    issuedAt: new Date(clock.nowMs()).toISOString(),
    expirationTime: null,
    notBefore: null,
    requestId: null,
    resources: [],
  };
}

function base64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64');
}

function recordingLog(logged: Logged[]): Log {
  const record = (event: string, fields: LogFields = {}) => {
    logged.push({ event, ...fields });
  };
  return { debug: record, info: record, warn: record, error: record };
}
