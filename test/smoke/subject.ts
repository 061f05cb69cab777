/**
 * What the smoke tests run: the program from source, as one file, or out of its image, each as its users would. Which one it is stands in
 * FAREBOX_SMOKE, put there by scripts/smoke.ts.
 */
import { freePort } from '../../scripts/free-port.ts';
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Subject =
  | { kind: 'source' }
  | { kind: 'binary'; file: string }
  | {
      kind: 'image';
      /** Where its root is mounted. */
      root: string;
      entrypoint: string[];
      environment: Record<string, string>;
      workdir: string;
      user: string;
      hasHealthcheck: boolean;
    };

export const subject = JSON.parse(process.env['FAREBOX_SMOKE'] ?? '{"kind":"source"}') as Subject;

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** As `npm start` has it. */
const FLAGS = ['--max-semi-space-size=8'];
const MOST_MS = 120_000;
const IMAGE_USER = 1_000;
/** Where a directory of the host that all commands see is in the image. */
const SHARED_IN_IMAGE = '/mnt';

/** As a container runtime would: its own mounts and processes, a root that cannot be written, one user without rights, the program as PID 1. */
const INSIDE = `root=$1; data=$2; shared=$3; user=$4; shift 4
mount --bind "$root" "$root"; mount -t proc proc "$root/proc"; mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$data" "$root/data"; mount --bind "$shared" "$root${SHARED_IN_IMAGE}"
mount -o remount,bind,ro "$root"; cd "$root"
exec chroot --userspec="$user" "$root" "$@"`;

export interface Ended {
  /** Null where a signal ended it. */
  code: number | null;
  out: string;
  err: string;
  json: Record<string, unknown>;
}

export interface Running extends AsyncDisposable {
  url: string;
  /** Null where there is an operator. */
  claim: string | null;
  err(): string;
  /** Of the program itself, also where it is PID 1 of its own namespace. */
  pid(): Promise<number>;
  send(signal: NodeJS.Signals): Promise<void>;
  /** The exit code; null where a signal ended it. */
  ended: Promise<number | null>;
  /** From the first line of code that runs to the first answer of /ready, if it was waited for. */
  readyMs: number;
  /** Of the processor, user and system, by then. */
  cpuMs: number;
}

/** A data directory of its own and a shared one for files, both gone at the end. */
export class Place implements AsyncDisposable {
  readonly #root: string;
  readonly dataDir: string;
  readonly shared: string;
  /** The shared directory as the program sees it. */
  readonly inside: string;

  constructor(root: string) {
    this.#root = root;
    this.dataDir = join(root, 'data');
    this.shared = join(root, 'shared');
    this.inside = subject.kind === 'image' ? SHARED_IN_IMAGE : this.shared;
  }

  static async make(): Promise<Place> {
    const place = new Place(await mkdtemp(join(tmpdir(), 'farebox-smoke-')));
    await place.#open();
    return place;
  }

  async #open(): Promise<void> {
    for (const folder of [this.dataDir, this.shared]) {
      await mkdir(folder, { mode: 0o700 });
      if (subject.kind === 'image') await chown(folder, IMAGE_USER, IMAGE_USER);
    }
  }

  /** Another empty data directory beside the same shared one. */
  async beside(): Promise<Place> {
    const root = await mkdtemp(join(this.#root, 'beside-'));
    const other = new Place(root);
    await other.#open();
    await rm(other.shared, { recursive: true });
    return Object.assign(other, { shared: this.shared, inside: this.inside });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#root, { recursive: true, force: true });
  }
}

/** Runs a command to its end. */
export async function run(
  place: Place,
  args: string[],
  more: Record<string, string> = {},
): Promise<Ended> {
  const { said, ended } = start(place, args, { SANDBOX: '1', ...more });
  const code = await ended;
  const isJson = args.includes('--json') && said.out.startsWith('{');
  return { code, ...said, json: isJson ? (JSON.parse(said.out) as Ended['json']) : {} };
}

/** Starts a server on a free port and waits until it is ready; one that `isNew` knows nothing yet and has to be set up. */
export async function serve(
  place: Place,
  more: Record<string, string> = {},
  { isNew = false } = {},
): Promise<Running> {
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  const begunMs = performance.now();
  const environment = { PORT: port, ...(!isNew && { PUBLIC_URL: url }), ...more };
  const { child, said, ended } = start(place, ['serve', '--json'], environment);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', () => {
      if (said.out.includes('\n')) resolve(said.out);
    });
    void ended.then(() => reject(new Error(`it does not start: ${said.out}${said.err}`)));
  });
  const { claim } = JSON.parse(line) as { claim: string | null };
  if (!isNew) {
    const { status } = await fetch(`${url}/ready`);
    if (status !== 200) throw new Error(`/ready answers ${status}: ${said.err}`);
  }
  const readyMs = performance.now() - begunMs;
  const pid = () => innermost(child.pid ?? 0);
  const send = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(await pid(), signal);
  };
  return {
    url,
    claim,
    err: () => said.err,
    pid,
    send,
    ended,
    readyMs,
    cpuMs: await cpuMsOf(await pid()),
    [Symbol.asyncDispose]: async () => {
      await send('SIGKILL');
      await ended;
    },
  };
}

function start(place: Place, args: string[], environment: Record<string, string>) {
  const [program, ...own] = commandOf(place, environment);
  const child = spawn(program!, [...own, ...args], {
    // Nothing of this environment: what is needed must come along.
    env: subject.kind === 'image' ? process.env : { DATA_DIR: place.dataDir, ...environment },
    cwd: subject.kind === 'image' ? '/' : place.shared,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MOST_MS,
    killSignal: 'SIGKILL',
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => {});
  return { child: child as ChildProcess, said, ended };
}

function commandOf(place: Place, environment: Record<string, string>): string[] {
  if (subject.kind === 'source') return [process.execPath, ...FLAGS, MAIN];
  if (subject.kind === 'binary') return [subject.file];
  const { root, user, workdir, entrypoint } = subject;
  const variables = Object.entries({ ...subject.environment, ...environment });
  const container = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-ec', INSIDE];
  const mounts = ['sh', root, place.dataDir, place.shared, user];
  const clean = [
    'env',
    '-i',
    '-C',
    workdir,
    ...variables.map(([name, value]) => `${name}=${value}`),
  ];
  return [...container, ...mounts, ...clean, ...entrypoint];
}

/** What a chain of processes with one child each is about. */
async function innermost(pid: number): Promise<number> {
  if (subject.kind !== 'image') return pid;
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const [child] = text.trim().split(' ');
  return child ? innermost(Number(child)) : pid;
}

const TICK_MS = 10;

async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name may hold spaces; what follows it does not.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * TICK_MS;
}
