import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';

const FOLDER = new URL('../../config/task-http/', import.meta.url);
const NAMES = readdirSync(FOLDER).map((name) => name.replace(/\.yaml$/, ''));
const VARIABLES = { KLING_ACCESS_KEY: 'access-key-of-mine' };

function load(channels: string, files: Record<string, string> = {}) {
  const readFile = (path: string) => {
    if (path === '/srv/farebox.yaml') return `channels:\n${channels}`;
    const text = files[path];
    if (text !== undefined) return text;
    throw Object.assign(new Error(path), { code: 'ENOENT' });
  };
  const environment = { ...VARIABLES, FAREBOX_CONFIG: 'farebox.yaml' };
  return loadConfig(environment, { cwd: '/srv', readFile });
}

const channel = (more: string) =>
  `  - { id: x, provider: task-http, base_url: "https://a.example", ${more} }`;
const TASK = `
types: [video]
create: [{ path: /jobs, body: { prompt: "{prompt}" } }]
id: /id
poll: { path: "/jobs/{id}" }
result: { urls: [/url] }
`;

describe('descriptions of upstreams', () => {
  it.each(NAMES)('ships %s, which can be used as it is', (name) => {
    const [first] = load(channel(`task: ${name}`)).channels;
    expect(first?.task?.types.length).toBeGreaterThan(0);
    expect(first?.task?.create.length).toBeGreaterThan(0);
  });

  it('ships what the contract promises', () => {
    expect(NAMES).toEqual(['kling', 'luma', 'minimax', 'runway', 'suno-a', 'suno-b']);
  });

  it('takes the description of MiniMax for its provider', () => {
    const [first] = load(
      '  - { id: minimax, provider: minimax, base_url: "https://api.minimax.io" }',
    ).channels;
    expect(first?.task?.id).toBe('/task_id');
  });

  it('fills in variables, also in shipped files', () => {
    const [first] = load(channel('task: kling')).channels;
    expect(first?.task?.auth).toEqual({
      jwt: { issuer: 'access-key-of-mine', ttl_seconds: 1_800 },
    });
  });

  it('reads a file beside the settings', () => {
    const files = { '/srv/mine/jobs.yaml': TASK };
    const [first] = load(channel('task: mine/jobs.yaml'), files).channels;
    expect(first?.task?.poll).toEqual({ path: '/jobs/{id}' });
  });

  it.each([
    ['task: nope', 'channels[0].task: must be the name of a shipped description, or a file'],
    [
      'weight: 1',
      'channels[0].task: is missing; it must say what the jobs of this server are like',
    ],
    [
      'task: { types: [vidio], create: [{ path: /x }], result: { urls: [/u] } }',
      'channels[0].task.types[0]: must be one of image, ',
    ],
    [
      'task: { types: [video], create: [{ path: x }], result: { urls: [/u] } }',
      'channels[0].task.create[0].path: must be a path that begins with /',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: { urls: [u] } }',
      'channels[0].task.result.urls[0]: must be a JSON pointer like /data/task_id',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: {} }',
      'channels[0].task.result: must say where results stand',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: { urls: [/u] }, poll: { path: /y } }',
      'channels[0].task.id: is missing',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: { urls: [/u] }, staus: /s }',
      'channels[0].task.staus: there is no setting staus here; did you mean status?',
    ],
    [
      'task: { types: [video], create: [{ path: /x, body: { a: "{promt}" } }], result: { urls: [/u] } }',
      'channels[0].task.create[0].body: must not name {promt}; did you mean {prompt}?',
    ],
    [
      'task: { types: [video], create: [{ path: /x, body: { a: "{n|twice}" } }], result: { urls: [/u] } }',
      'must not name the filter twice',
    ],
    [
      'task: { types: [video], create: [{ path: /x, body: { a: "{n|map:none}" } }], result: { urls: [/u] } }',
      'must name a table in maps, not "none"',
    ],
    [
      'task: { types: [video], create: [{ path: "/x/{id}" }], result: { urls: [/u] } }',
      'channels[0].task.create[0].path: must not name {id}',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: { urls: [/u] }, auth: { header: a, jwt: { issuer: b } } }',
      'channels[0].task.auth: must be either header',
    ],
    [
      'task: { types: [video], create: [{ path: /x }], result: { urls: [/u] }, states: { DONE: ready } }',
      'channels[0].task.states.DONE: must be one of pending, ',
    ],
  ])('names the field that is wrong: %s', (more, message) => {
    expect(() => load(channel(more))).toThrow(message);
  });

  it('is for described providers alone', () => {
    const other = '  - { id: x, provider: fal, task: luma, base_url: "https://a.example" }';
    expect(() => load(other)).toThrow('channels[0].task: must be left out');
  });
});
