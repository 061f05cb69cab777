/** Commands for a running server over a Unix socket in its data directory: one JSON line asked, one answered. */
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { AppError } from './errors.ts';
import type { Store } from './ledger/store.ts';
import type { Log } from './log.ts';

/** Longer paths do not fit a socket address on Linux. */
const MAX_PATH_BYTES = 107;
const MAX_LINE_BYTES = 16_384;
const TIMEOUT_MS = 10_000;
const MAX_PAGE = 1_000;

export interface Control {
  close(): Promise<void>;
}

type Request = Record<string, unknown>;

function socketPath(dataDir: string): string {
  return join(dataDir, 'farebox.sock');
}

/** Listens for commands; who can write to the data directory may give them. The data directory's lock is held by now. */
export async function startControl(
  dataDir: string,
  store: Store,
  log: Log,
): Promise<Control | null> {
  const path = socketPath(dataDir);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    log.warn('control_socket_off', { reason: 'the path of DATA_DIR is too long for a socket' });
    return null;
  }
  // A process that was killed leaves its socket behind.
  await rm(path, { force: true });
  const server = createServer((socket) => serve(socket, store));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return { close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function serve(socket: Socket, store: Store): void {
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.length > MAX_LINE_BYTES) return void socket.destroy();
    const end = text.indexOf('\n');
    if (end < 0) return;
    socket.removeAllListeners('data');
    answer(store, text.slice(0, end)).then(
      (line) => socket.end(`${line}\n`),
      () => socket.destroy(),
    );
  });
}

async function answer(store: Store, line: string): Promise<string> {
  try {
    return JSON.stringify({ ok: await runControl(store, JSON.parse(line) as Request) });
  } catch (error) {
    const known = error instanceof AppError;
    return JSON.stringify({
      error: {
        code: known ? error.code : 'internal',
        message: known ? error.message : 'Internal error.',
      },
    });
  }
}

/** What a command does, in whichever process has the store. */
export async function runControl(store: Store, request: Request): Promise<unknown> {
  switch (request['do']) {
    case 'keys.create': {
      const { accountId, expiresAtMs } = request;
      return store.keys.create({
        type: request['type'] === 'ADMIN' ? 'ADMIN' : 'INFERENCE',
        description: typeof request['description'] === 'string' ? request['description'] : '',
        ...(typeof accountId === 'string' ? { accountId } : {}),
        ...(typeof expiresAtMs === 'number' ? { expiresAtMs } : {}),
      });
    }
    case 'keys.list':
      return store.keys.list({
        limit: bounded(request['limit'], MAX_PAGE),
        offset: bounded(request['offset'], Number.MAX_SAFE_INTEGER),
      });
    case 'keys.revoke':
      await store.keys.revoke(String(request['id']));
      return { revoked: request['id'] };
    default:
      throw new AppError('invalid_request', 'do: there is no such command.');
  }
}

function bounded(value: unknown, most: number): number {
  const number = Number(value ?? 0);
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number;
  throw new AppError('invalid_request', `limit and offset: must be whole numbers up to ${most}.`);
}

/** The running server's answer; null when none runs on this directory. Throws what the server refused. */
export async function askServer(dataDir: string, request: Request): Promise<unknown> {
  const path = socketPath(dataDir);
  const line = await new Promise<string | null>((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('The server does not answer.')));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('end', () => resolve(text));
    socket.on('error', (error) => {
      const code = 'code' in error ? error.code : '';
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EINVAL') resolve(null);
      else reject(error);
    });
  });
  if (line === null) return null;
  const { ok, error } = JSON.parse(line) as {
    ok?: unknown;
    error?: { code: AppError['code']; message: string };
  };
  if (error) throw new AppError(error.code, error.message);
  return ok;
}
