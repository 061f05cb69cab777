/** Bytes on a socket, and what comes back: for requests that no HTTP client would send. */
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  head: string;
  body: string;
  /** Whether the server ended the connection, in time. */
  isClosed: boolean;
  ms: number;
}

export interface RawOptions {
  /** Gives up on more bytes after that long; 3 s by default. */
  waitMs?: number;
  /** Reads on until the server ends the connection; else a whole answer is enough. */
  untilClosed?: boolean;
  host?: string;
}

export async function sendRaw(
  port: number,
  bytes: string | Buffer | AsyncIterable<string | Buffer>,
  options: RawOptions = {},
): Promise<RawAnswer> {
  const begun = performance.now();
  const socket = connect(port, options.host ?? '127.0.0.1');
  let text = '';
  let isClosed = false;
  const over = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, options.waitMs ?? 3_000);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!options.untilClosed && isWhole(text)) end();
    });
    socket.on('close', () => {
      isClosed = true;
      end();
    });
    socket.on('error', () => {});
  });
  if (typeof bytes === 'string' || Buffer.isBuffer(bytes)) socket.write(bytes);
  else {
    for await (const piece of bytes) {
      if (isClosed || socket.destroyed) break;
      if (!socket.write(piece)) await Promise.race([over, drained(socket)]);
    }
  }
  await over;
  socket.destroy();
  const [head = '', ...rest] = text.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    head,
    body: rest.join('\r\n\r\n'),
    isClosed,
    ms: performance.now() - begun,
  };
}

function drained(socket: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => socket.once('drain', () => resolve()));
}

function isWhole(text: string): boolean {
  const split = text.indexOf('\r\n\r\n');
  if (split < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, split))?.[1];
  return length !== undefined && text.length >= split + 4 + Number(length);
}

/** A request's bytes: header lines as they are given, doubled ones too. */
export function rawRequest(start: string, headers: string[], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${start} HTTP/1.1`, ...headers, ...length, '', body].join('\r\n');
}
