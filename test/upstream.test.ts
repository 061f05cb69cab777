import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../src/config/config.ts';
import { Upstream, type UpstreamSink } from '../src/upstream.ts';
import { channel } from './support/chat.ts';

describe('connections to an upstream, after a reload', () => {
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    answers.push(response);
    server.emit('asked');
  });
  let old: ChannelConfig;
  let upstream: Upstream;
  beforeEach(async () => {
    answers.length = 0;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const queue = { size: 1, waitMs: 10_000 };
    old = channel(`http://127.0.0.1:${port}`, { concurrency: 1, queue });
    upstream = new Upstream({ upstreamBodyBytes: 1_000 });
  });
  afterEach(async () => {
    await upstream.close();
    server.close();
  });

  const send = (to: ChannelConfig) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      const sink: UpstreamSink = {
        begun: () => true,
        head: () => {},
        data: (chunk) => void (text += chunk.toString()),
        end: () => resolve(text),
        fail: reject,
      };
      upstream.send(to, { path: '/', headers: {}, body: Buffer.from('{}') }, sink);
    });
  const connected = async () => ((await once(server, 'connection')) as [Socket])[0];

  it('close when what is under way and what waits has ended', async () => {
    const socket = connected();
    const first = send(old);
    const second = send(old);
    await once(server, 'asked');
    upstream.retain([{ ...old }]);
    const closed = once(await socket, 'close');
    const asked = once(server, 'asked');
    answers[0]!.end('one');
    expect(await first).toBe('one');
    await asked;
    answers[1]!.end('two');
    expect(await second).toBe('two');
    await closed;
    expect(upstream.load(old)).toEqual({ running: 0, waiting: 0 });
  });

  it('close at once where nobody uses them, and stay where their channel does', async () => {
    const other = { ...old };
    for (const each of [old, other]) {
      const asked = once(server, 'asked');
      const answer = send(each);
      await asked;
      answers.at(-1)!.end('here');
      await answer;
    }
    const sockets = answers.map(({ req }) => req.socket);
    const closed = once(sockets[0]!, 'close');
    upstream.retain([other]);
    await closed;
    expect(sockets[1]!.destroyed).toBe(false);
  });

  it('are made once more for a request that took its channel before', async () => {
    upstream.retain([{ ...old }]);
    const socket = connected();
    const late = send(old);
    await once(server, 'asked');
    const closed = once(await socket, 'close');
    answers[0]!.end('late');
    expect(await late).toBe('late');
    await closed;
  });
});
