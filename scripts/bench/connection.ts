/** One keep-alive connection of the load generator: sends a request, waits for the whole answer, tells how long it took. */
import { connect, type Socket } from 'node:net';

const READ_BYTES = 65_536;
const TAIL_CHARS = 40;
const SNIPPET_CHARS = 400;

export interface Answer {
  status: number;
  /** Milliseconds from the request's write to the last byte of the answer. */
  elapsedMs: number;
  /** The last characters of the answer, as they came. */
  tail: string;
  bytes: number;
  /** The beginning of an answer that is not 200. */
  problem: string | null;
}

export interface Connection {
  send(request: string | Buffer): void;
  close(): void;
}

export interface ConnectionEvents {
  onOpen(): void;
  onAnswer(answer: Answer): void;
  /** The connection broke; no further event follows. */
  onBroken(error: Error): void;
}

export function openConnection(port: number, events: ConnectionEvents): Connection {
  let startedAt = 0;
  let bytes = 0;
  let status = 0;
  let left = 0;
  let isChunked = false;
  let inBody = false;
  let tail = '';
  let headText = '';
  let problem: string | null = null;

  const finish = () => {
    inBody = false;
    headText = '';
    const answer = { status, elapsedMs: performance.now() - startedAt, tail, bytes, problem };
    tail = '';
    bytes = 0;
    events.onAnswer(answer);
  };

  const readHead = (length: number, buffer: Buffer): number => {
    const before = headText.length;
    headText += buffer.toString('latin1', 0, length);
    const end = headText.indexOf('\r\n\r\n');
    if (end < 0) return length;
    const head = headText.slice(0, end);
    status = Number(head.slice(9, 12));
    problem = status === 200 ? null : headText.slice(0, SNIPPET_CHARS);
    isChunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    inBody = true;
    return end + 4 - before;
  };

  const onRead = (length: number, buffer: Buffer) => {
    bytes += length;
    const start = inBody ? 0 : readHead(length, buffer);
    if (!inBody) return;
    tail = (tail + buffer.toString('latin1', Math.max(start, length - TAIL_CHARS), length)).slice(
      -TAIL_CHARS,
    );
    if (isChunked) {
      if (tail.endsWith('0\r\n\r\n')) finish();
      return;
    }
    left -= length - start;
    if (left <= 0) finish();
  };

  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer,
      callback: (length) => {
        onRead(length, buffer);
        return true;
      },
    },
  });
  let isClosed = false;
  socket.on('connect', events.onOpen);
  socket.on('error', (error) => {
    if (!isClosed) events.onBroken(error);
    isClosed = true;
  });
  socket.on('close', () => {
    if (!isClosed) events.onBroken(new Error('the server closed the connection'));
    isClosed = true;
  });
  return {
    send: (request) => {
      startedAt = performance.now();
      socket.write(request, 'latin1');
    },
    close: () => {
      isClosed = true;
      socket.destroy();
    },
  };
}
