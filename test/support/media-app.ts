/** The whole server, selling what a studio makes; its clock stands still until it is told. */
import type { Config, MediaModel } from '../../src/config/config.ts';
import type { TaskHttp } from '../../src/config/task-http.ts';
import { type AppOptions, startApp, type TestApp } from './app.ts';
import { manualClock } from './store.ts';
import { type Studio, startStudio } from './studio.ts';
import { imageModel, studioChannel, videoModel } from './tasks.ts';

/** How the studio is spoken to, as an operator would write it down. */
const STUDIO: TaskHttp = {
  types: ['video', 'image', 'image_edit', 'music', 'sound'],
  create: [
    {
      path: '/jobs',
      body: { model: '{model}', task_id: '{task_id}', prompt: '{prompt}', images: '{images}' },
      passthrough: true,
    },
  ],
  id: '/id',
  poll: { path: '/jobs/{id}' },
  cancel: { method: 'DELETE', path: '/jobs/{id}' },
  status: '/state',
  progress: '/progress',
  result: { urls: ['/urls/*'] },
};

export interface MediaApp extends TestApp {
  studio: Studio;
  clock: { ms: number };
  /** Lets time pass and does what is due. */
  pass(ms?: number): Promise<void>;
}

export async function startMediaApp(options: AppOptions = {}): Promise<MediaApp> {
  const studio = await startStudio();
  const clock = manualClock();
  const app = await startApp({
    clock,
    demoUrl: studio.url,
    ...options,
    change: (config) => {
      sellMedia(config, studio);
      options.change?.(config);
    },
  });
  return {
    ...app,
    studio,
    clock,
    pass: async (ms = 0) => {
      clock.ms += ms;
      await app.app.tasks.tick();
    },
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]();
      await studio[Symbol.asyncDispose]();
    },
  };
}

export function sellMedia(config: Config, studio: Studio): void {
  config.channels.push(studioChannel(studio, { provider: 'task-http', task: STUDIO }));
  config.models.push(...MODELS);
  config.webhooks.allowPrivate = ['127.0.0.0/8'];
  config.webhooks.ports = [0];
}

/** Half a dollar for six seconds: 50 credits. */
const CLIP = videoModel(
  {
    id: 'seedance-2-fast',
    price: {
      version: 'clip',
      rules: [{ unit: 'generation', usd: '0.5', when: { resolution: '720p' } }],
    },
  },
  { resolutions: ['720p'], durations: [6], inputModes: ['text', 'image'] },
);
const SONG = videoModel({
  id: 'song',
  type: 'music',
  price: { version: 'song', rules: [{ unit: 'generation', usd: '0.3' }] },
} as Partial<MediaModel>);
const MODELS: MediaModel[] = [CLIP, imageModel(), SONG];
