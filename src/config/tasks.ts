/** `task` of a channel: reading descriptions from files, and what a schema cannot check about them. */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FILTERS, placesIn } from '../providers/media/template.ts';
import type { Faults, Path } from './fault.ts';
import { nearest } from './fault.ts';
import { parseFile, type ReadFile, readText } from './file.ts';
import type { RawChannel } from './raw.ts';
import type { TaskCall, TaskHttp, Template } from './task-http.ts';

const SHIPPED = fileURLToPath(new URL('../../config/task-http/', import.meta.url));
const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Providers whose upstream is described; one of them is shipped. */
const DESCRIBED = ['task-http', 'minimax'];

/** What the places of a template may be called. */
const PLACES = [
  'model',
  'task_id',
  'prompt',
  'duration',
  'n',
  'size',
  'width',
  'height',
  'resolution',
  'quality',
  'aspect_ratio',
  'fps',
  'audio',
  'factor',
  'image',
  'last_image',
  'images',
  'references',
  'video',
  'videos',
  'sound',
  'mask',
];

type Data = Record<string, unknown>;

/** The settings with descriptions in the place of their names. `folder`: paths start there. */
export function withTasks(
  data: Data,
  { folder, readFile }: { folder: string; readFile: ReadFile },
  faults: Faults,
): Data {
  const { channels } = data;
  if (!Array.isArray(channels)) return data;
  const expanded = channels.map((channel: unknown, n) => {
    if (typeof channel !== 'object' || channel === null) return channel;
    const { provider, task } = channel as Data;
    const name = task ?? (provider === 'minimax' ? provider : undefined);
    if (typeof name !== 'string') return channel;
    const path = ['channels', n, 'task'];
    const text = NAME.test(name)
      ? read(`${SHIPPED}${name}.yaml`, readText)
      : read(resolve(folder, name), readFile);
    if (text === null)
      faults.add(path, 'must be the name of a shipped description, or a file that can be read');
    const place = NAME.test(name) ? `config/task-http/${name}.yaml` : name;
    const spec =
      text === null ? undefined : parseFile({ path: place, text, isFixed: true }, faults);
    return { ...channel, task: spec };
  });
  return { ...data, channels: expanded };
}

export function folderOf(file: { path: string } | null, cwd: string): string {
  return file === null ? cwd : dirname(file.path);
}

function read(path: string, readFile: ReadFile): string | null {
  try {
    return readFile(path);
  } catch {
    return null;
  }
}

export function readTask(
  { provider, task }: RawChannel,
  path: Path,
  faults: Faults,
): { task?: TaskHttp } {
  const isDescribed = DESCRIBED.includes(provider ?? '');
  const at = [...path, 'task'];
  if (task === undefined) {
    if (isDescribed)
      faults.add(at, 'is missing; it must say what the jobs of this server are like');
    return {};
  }
  if (!isDescribed) faults.add(at, `must be left out: ${provider} is no described provider`);
  checkTask(task, at, faults);
  return { task };
}

function checkTask(task: TaskHttp, path: Path, faults: Faults): void {
  const { create, poll, id, result, cancel, auth } = task;
  const isPolled = poll !== undefined || create?.some((call) => call?.poll !== undefined);
  if (isPolled && id === undefined)
    faults.add([...path, 'id'], 'is missing; it must be a JSON pointer like /data/task_id');
  const links = [...(result?.urls ?? []), ...(result?.base64 ?? []), ...(result?.hex ?? [])];
  if (result && links.length === 0)
    faults.add([...path, 'result'], 'must say where results stand: urls, base64 or hex');
  if (auth && Object.keys(auth).length > 0 && 'header' in auth === 'jwt' in auth) {
    faults.add([...path, 'auth'], 'must be either header (with a prefix) or jwt');
  }
  const names = Object.keys(task.maps ?? {});
  const check = (call: TaskCall | undefined, place: Path, more: string[] = []) => {
    if (!call) return;
    checkTemplate(call.path, [...place, 'path'], { names, more, faults });
    checkTemplate(call.body ?? null, [...place, 'body'], { names, more, faults });
  };
  for (const [n, call] of (create ?? []).entries()) {
    check(call, [...path, 'create', n]);
    check(call?.poll, [...path, 'create', n, 'poll'], ['id']);
  }
  check(poll, [...path, 'poll'], ['id']);
  check(cancel, [...path, 'cancel'], ['id']);
  check(result?.call, [...path, 'result', 'call'], ['id', '/']);
}

function checkTemplate(
  template: Template,
  path: Path,
  { names, more, faults }: { names: string[]; more: string[]; faults: Faults },
): void {
  const known = [...PLACES, ...more];
  for (const { name, filters } of placesIn(template)) {
    const isPointer = name.startsWith('/') && more.includes('/');
    if (!known.includes(name) && !name.startsWith('field.') && !isPointer) {
      const meant = nearest(name, known);
      const hint = meant === null ? `there are: ${known.join(', ')}` : `did you mean {${meant}}?`;
      faults.add(path, `must not name {${name}}; ${hint}`);
    }
    for (const filter of filters) {
      const [kind, table] = filter.split(':', 2);
      if (!FILTERS.some((known) => known === kind))
        faults.add(path, `must not name the filter ${kind}; there are: ${FILTERS.join(', ')}`);
      else if (kind === 'map' && !names.includes(table ?? ''))
        faults.add(path, `must name a table in maps, not "${table}"`);
    }
  }
}
