/** The task engine over a real ledger, a real store of results and a studio; its clock stands still until it is told. */
import { expect } from 'vitest';
import type { Principal } from '../../src/auth/principal.ts';
import { Byok } from '../../src/chat/byok.ts';
import { Catalogue } from '../../src/catalogue.ts';
import type { ChannelConfig, MediaModel, MediaParams } from '../../src/config/config.ts';
import type { TaskRow } from '../../src/db/tables.ts';
import { AppError } from '../../src/errors.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { nanoUsd, ZERO_USD } from '../../src/money.ts';
import type { MediaProvider } from '../../src/providers/media.ts';
import { MediaCalls } from '../../src/providers/media/http.ts';
import type { ByokFee } from '../../src/pricing/byok.ts';
import { Routing } from '../../src/routing/routing.ts';
import type { NewTask, Task } from '../../src/tasks/task.ts';
import { Vault } from '../../src/vault.ts';
import { Tasks } from '../../src/tasks/tasks.ts';
import { mediaBench, type MediaBench } from './media.ts';
import { mediaChannel } from './media-upstream.ts';
import { type TestStore, testStore } from './store.ts';
import { onceProvider, type Studio, startStudio, studioProvider } from './studio.ts';

export const SECOND_USD = '0.01';
/** What a clip of six seconds costs, nano-USD. */
export const CLIP = 60_000_000;

export interface TaskBench extends AsyncDisposable {
  tasks: Tasks;
  store: TestStore;
  media: MediaBench;
  studio: Studio;
  routing: Routing;
  vault: Vault;
  logged: (LogFields & { event: string })[];
  /** A task of this account, or of a wallet with ten dollars. */
  make(more?: Partial<NewTask>, accountId?: string): Promise<Task>;
  row(id: string): Promise<TaskRow>;
  /** Lets time pass and does what is due. */
  pass(ms?: number): Promise<void>;
  /** Until the task has ended, two seconds at a time. */
  finish(id: string): Promise<Task>;
  /** Fails the test unless the money of every task is right, and no hold is open but theirs. */
  check(): Promise<void>;
  /** Another engine over the same rows, as after a restart. */
  another(): Promise<Tasks>;
}

export interface TaskBenchOptions {
  store?: TestStore;
  studio?: Studio;
  channels?: (studio: Studio) => ChannelConfig[];
  models?: MediaModel[];
  providers?: MediaProvider[];
  webhooks?: { allowPrivate: string[]; ports: number[] };
  fee?: ByokFee;
}

export function walletPrincipal(accountId: string | null): Principal {
  const wallet = { family: 'eip155' as const, address: '0x1', chain: '' };
  return { kind: 'wallet', role: 'wallet', accountId, wallet };
}

export async function taskBench(options: TaskBenchOptions = {}): Promise<TaskBench> {
  const store = options.store ?? (await testStore());
  const studio = options.studio ?? (await startStudio());
  const media = await mediaBench({
    store,
    ...(options.webhooks && { webhooks: options.webhooks }),
  });
  const { clock, ledger } = store;
  const logged: TaskBench['logged'] = [];
  const channels = options.channels?.(studio) ?? [studioChannel(studio)];
  const routing = new Routing(channels, { clock, random: () => 0 });
  const catalogue = new Catalogue(options.models ?? [videoModel(), imageModel()]);
  const providers = options.providers ?? [studioProvider(), onceProvider()];
  const calls = new MediaCalls({ maxBytes: 1_000_000, nowMs: () => clock.nowMs() });
  const vault = new Vault(ledger, store.masterKey.values);
  await vault.load();
  const fee = options.fee ?? { percent: '0', perRequest: ZERO_USD };
  const byok = new Byok({ vault, routing, fee });
  const engine = () =>
    new Tasks({
      ledger,
      catalogue,
      routing,
      media: media.media,
      webhooks: media.webhooks,
      calls,
      findProvider: (name) => {
        const found = providers.find((provider) => provider.name === name);
        if (!found) throw new AppError('no_channel', 'No such provider.');
        return found;
      },
      box: store.boxFor('tasks'),
      clock,
      log: recordingLog(logged),
      byok,
      quotes: { open: () => Promise.reject(new Error('no quotes here')) as never },
      creditUsd: nanoUsd(10_000_000),
    });
  const tasks = engine();
  await tasks.recover();
  const row = async (id: string) =>
    ledger.read.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const pass = async (ms = 0) => {
    clock.ms += ms;
    await tasks.tick();
  };
  return {
    tasks,
    store,
    media,
    studio,
    routing,
    vault,
    logged,
    make: async (more = {}, accountId) => {
      const account = accountId ?? (await store.wallet('10'));
      const call = newTask(account, more);
      return (await tasks.create(call)).task;
    },
    row,
    pass,
    finish: async (id) => {
      for (let looks = 0; looks < 1_000; looks += 1) {
        await pass(looks === 0 ? 0 : 2_000);
        const { ended_at, account_id } = await row(id);
        if (ended_at !== null) return tasks.find(walletPrincipal(account_id), id);
      }
      throw new Error(`${id} never ends`);
    },
    check: () => store.check(),
    another: async () => {
      const next = engine();
      await next.recover();
      return next;
    },
    [Symbol.asyncDispose]: async () => {
      await tasks.stop(0);
      await calls.close();
      await media[Symbol.asyncDispose]();
      if (!options.store) await store[Symbol.asyncDispose]();
      if (!options.studio) await studio[Symbol.asyncDispose]();
    },
  };
}

export function newTask(accountId: string, more: Partial<NewTask> = {}): NewTask {
  return {
    principal: walletPrincipal(accountId),
    requestId: 'req_1',
    model: 'clip',
    types: ['video', 'image', 'image_edit', 'music'],
    fields: { model: 'clip', prompt: 'A boat', duration: 6 },
    maxCredits: null,
    quoteId: null,
    minimumAvailable: ZERO_USD,
    admit: () => Promise.resolve({ settle: () => {} }),
    ...more,
  };
}

export function studioChannel(
  { url }: Pick<Studio, 'url'>,
  more: Partial<ChannelConfig> = {},
): ChannelConfig {
  return mediaChannel(url, { id: 'studio', provider: 'studio', ...more });
}

const PARAMS: MediaParams = {
  sizes: [],
  resolutions: [],
  qualities: [],
  aspectRatios: [],
  durations: [],
  duration: null,
  fps: [],
  audio: null,
  factors: [],
  maxN: 4,
  inputModes: [],
  maxInputImages: 4,
  maxInputSeconds: 60,
  maxCharacters: 10_000,
  voices: [],
  formats: [],
  styles: [],
  pixels: {},
  outputTokens: {},
  tokensPerSecond: { input: 0, output: 0 },
  defaults: {},
  typicalRuntimeMs: 20_000,
  maxRuntimeMs: 20 * 60_000,
};

export function videoModel(more: Partial<MediaModel> = {}, params: Partial<MediaParams> = {}) {
  return mediaModel('video', 'clip', 'output_second', SECOND_USD, more, {
    durations: [5, 6, 10],
    maxN: 1,
    ...params,
  });
}

export function imageModel(more: Partial<MediaModel> = {}, params: Partial<MediaParams> = {}) {
  return mediaModel('image', 'picture', 'image', '0.02', more, params);
}

function mediaModel(
  type: MediaModel['type'],
  id: string,
  unit: string,
  usd: string,
  more: Partial<MediaModel>,
  params: Partial<MediaParams>,
): MediaModel {
  return {
    id,
    type,
    name: null,
    description: null,
    aliases: [],
    capabilities: [],
    traits: [],
    routes: [{ channel: 'studio', model: `up-${id}` }],
    params: { ...PARAMS, ...params },
    price: { version: `price-of-${id}`, rules: [{ unit, usd }] },
    ...more,
  } as MediaModel;
}

/** Every hold that the tasks have, and what became of it. */
export async function expectMoney(bench: TaskBench, accountId: string, charged: number) {
  expect(await bench.store.available(accountId)).toBe(10_000_000_000 - charged);
  await bench.check();
}

function recordingLog(logged: TaskBench['logged']): Log {
  const record = (event: string, fields: LogFields = {}) => {
    logged.push({ event, ...fields });
  };
  return { debug: record, info: record, warn: record, error: record };
}
