/** Commands for a running server over a Unix socket in its data directory: one JSON line asked, one answered. */
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { AppError } from './errors.ts';
import { KEY_BYTES } from './key-file.ts';
import { ALL_KEYS } from './keys/keys.ts';
import type { Store } from './ledger/store.ts';
import type { Log } from './log.ts';

const CLI = { actor: 'cli' };
const SOCKET_FILE = 'farebox.sock';
/** Longer paths do not fit a socket address; macOS takes the fewest. */
const MAX_PATH_BYTES = 103;
const MAX_LINE_BYTES = 16_384;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;
const MAX_PAGE = 1_000;

export type ControlRequest =
  | {
      do: 'keys.create';
      type: 'INFERENCE' | 'ADMIN';
      description: string;
      accountId?: string;
      expiresAtMs?: number;
    }
  | { do: 'keys.list'; limit: number; offset: number }
  | { do: 'keys.revoke'; id: string }
  | { do: 'keys.reset-admin' }
  | { do: 'keys.rotate-master'; newKey: string | null };

function socketPath(dataDir: string): string {
  return join(dataDir, SOCKET_FILE);
}

/**
 * Listens for commands; who can write to the data directory may give them. The data directory's lock is held by now, so a socket that
 * is there was left behind by a process that was killed. Null where the path is too long for a socket.
 */
export async function startControl(
  dataDir: string,
  store: Store,
  log: Log,
): Promise<AsyncDisposable | null> {
  const path = socketPath(dataDir);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    log.warn('control_socket_off', {
      reason: `the path of DATA_DIR is too long: ${path} has more than ${MAX_PATH_BYTES} bytes`,
    });
    return null;
  }
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, store, log);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return { [Symbol.asyncDispose]: () => closeServer(server, sockets) };
}

function closeServer(server: Server, sockets: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

function serve(socket: Socket, store: Store, log: Log): void {
  socket.setEncoding('utf8');
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  let text = '';
  const take = (chunk: string) => {
    text += chunk;
    if (text.length > MAX_LINE_BYTES) return void socket.destroy();
    const end = text.indexOf('\n');
    if (end < 0) return;
    socket.off('data', take);
    answer(store, text.slice(0, end), log).then(
      (line) => socket.end(`${line}\n`),
      () => socket.destroy(),
    );
  };
  socket.on('data', take);
}

async function answer(store: Store, line: string, log: Log): Promise<string> {
  try {
    const request = JSON.parse(line) as ControlRequest;
    log.info('command', { do: request.do });
    return JSON.stringify({ ok: await runControl(store, request) });
  } catch (error) {
    const known = error instanceof AppError;
    if (!known) log.error('command_failed', { error });
    const { code, message } = known ? error : { code: 'internal', message: 'Internal error.' };
    return JSON.stringify({ error: { code, message } });
  }
}

/** What a command does, in whichever process has the store. Its fields came over a socket: they are looked at. */
export async function runControl(store: Store, request: ControlRequest): Promise<unknown> {
  switch (request.do) {
    case 'keys.create': {
      const { type, description, accountId, expiresAtMs } = request;
      if (type !== 'INFERENCE' && type !== 'ADMIN')
        throw wrong('type: must be INFERENCE or ADMIN.');
      if (typeof description !== 'string') throw wrong('description: must be text.');
      return store.keys.create({ type, description, accountId, expiresAtMs }, CLI);
    }
    case 'keys.list': {
      const { limit, offset } = request;
      return store.keys.list(ALL_KEYS, {
        limit: bounded('limit', limit, MAX_PAGE),
        offset: bounded('offset', offset, Number.MAX_SAFE_INTEGER),
      });
    }
    case 'keys.revoke':
      await store.keys.revoke(request.id, ALL_KEYS, CLI);
      return { revoked: request.id };
    case 'keys.reset-admin':
      return store.keys.resetOperators(CLI);
    case 'keys.rotate-master':
      return store.masterKey.rotate(store.ledger, newMasterKey(request.newKey), CLI);
    default:
      throw wrong('do: there is no such command.');
  }
}

function newMasterKey(text: unknown): Buffer | null {
  if (text === null) return null;
  const key = typeof text === 'string' ? Buffer.from(text, 'base64') : null;
  if (key?.length === KEY_BYTES) return key;
  throw wrong('newKey: must be 32 bytes in base64.');
}

function bounded(name: string, number: number, most: number): number {
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number;
  throw wrong(`${name}: must be a whole number up to ${most}.`);
}

function wrong(message: string): AppError {
  return new AppError('invalid_request', message);
}

/** Where no server listens on the socket, or there is none. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'EINVAL', 'ENAMETOOLONG', 'ENOTSOCK']);

/** The running server's answer; null when none runs on this directory. Throws what the server refused. */
export async function askServer(dataDir: string, request: ControlRequest): Promise<unknown> {
  const line = await exchange(socketPath(dataDir), `${JSON.stringify(request)}\n`);
  if (line === null) return null;
  if (line === '') throw new Error('The server ended before it answered: ask again.');
  const { ok, error } = JSON.parse(line) as {
    ok?: unknown;
    error?: { code: AppError['code']; message: string };
  };
  if (error) throw new AppError(error.code, error.message);
  return ok;
}

function exchange(path: string, question: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) return resolve(null);
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('The server does not answer.')));
    socket.on('connect', () => socket.write(question));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) socket.destroy(new Error('The answer is too long.'));
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error) => {
      if ('code' in error && NOBODY.has(String(error.code))) resolve(null);
      else reject(error);
    });
  });
}
