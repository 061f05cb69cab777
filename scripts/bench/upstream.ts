/**
 * The upstream of the bench, as lean as Node allows: a raw TCP server that answers from ready-made bytes. Paths under /slow
 * stream one event every SLOW_INTERVAL_MS. Prints its port.
 */
import { createServer, type Socket } from 'node:net';
import { jsonAnswer, SLOW_EVENTS, SLOW_INTERVAL_MS, streamEvents } from './shapes.ts';

/** Events that leave in one write: a model's tokens arrive in small groups, and one core must feed two servers. */
const EVENTS_PER_WRITE = 5;
const HEAD_END = Buffer.from('\r\n\r\n');
const STREAM_MARK = '"stream":true';

const httpChunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

function responseHead(type: string, framing: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`;
}

const json = jsonAnswer();
const JSON_ANSWER = Buffer.from(
  responseHead('application/json', `Content-Length: ${Buffer.byteLength(json)}`) + json,
);
const STREAM_HEAD = Buffer.from(responseHead('text/event-stream', 'Transfer-Encoding: chunked'));
const STREAM_WRITES = grouped(streamEvents().map(httpChunk));
const SLOW_CHUNKS = streamEvents(SLOW_EVENTS).map((event) => Buffer.from(httpChunk(event)));
const STREAM_END = Buffer.from('0\r\n\r\n');

function grouped(chunks: string[]): Buffer[] {
  const writes: Buffer[] = [];
  for (let at = 0; at < chunks.length; at += EVENTS_PER_WRITE) {
    writes.push(Buffer.from(chunks.slice(at, at + EVENTS_PER_WRITE).join('')));
  }
  return writes;
}

function answer(socket: Socket, head: string, body: Buffer): void {
  if (head.startsWith('POST /slow')) return slowStream(socket);
  if (!body.includes(STREAM_MARK)) {
    socket.write(JSON_ANSWER);
    return;
  }
  socket.write(STREAM_HEAD);
  for (const part of STREAM_WRITES) socket.write(part);
  socket.write(STREAM_END);
}

function slowStream(socket: Socket): void {
  socket.write(STREAM_HEAD);
  let sent = 0;
  const timer = setInterval(() => {
    const chunk = SLOW_CHUNKS[sent];
    sent += 1;
    if (chunk && !socket.destroyed) {
      socket.write(chunk);
      return;
    }
    clearInterval(timer);
    if (!socket.destroyed) socket.write(STREAM_END);
  }, SLOW_INTERVAL_MS);
}

/** Length of the first whole request in `bytes`, or -1 while some of it is missing. */
function requestLength(bytes: Buffer, headEnd: number, head: string): number {
  const bodyStart = headEnd + HEAD_END.length;
  const length = /content-length: *(\d+)/i.exec(head);
  if (length) {
    const end = bodyStart + Number(length[1]);
    return bytes.length >= end ? end : -1;
  }
  if (!/transfer-encoding: *chunked/i.test(head)) return bodyStart;
  const end = bytes.indexOf('0\r\n\r\n', bodyStart);
  return end < 0 ? -1 : end + STREAM_END.length;
}

function serve(socket: Socket): void {
  let pending: Buffer | null = null;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    let rest: Buffer = pending ? Buffer.concat([pending, bytes]) : bytes;
    pending = null;
    while (rest.length) {
      const headEnd = rest.indexOf(HEAD_END);
      const head = headEnd < 0 ? '' : rest.toString('latin1', 0, headEnd);
      const end = headEnd < 0 ? -1 : requestLength(rest, headEnd, head);
      if (end < 0) {
        pending = rest;
        return;
      }
      answer(socket, head, rest.subarray(headEnd, end));
      rest = rest.subarray(end);
    }
  });
}

const server = createServer(serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object')
    process.stdout.write(`port ${address.port}\n`);
});
