import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { chatBody, startApp } from '../support/app.ts';
import { json, startStream, whole, words, write } from '../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

describe('callers who cost more than they pay', () => {
  it('are refused before a body of a million objects is parsed', async () => {
    await using app = await startApp();
    const bomb = `{"model":"demo-chat","messages":[{"role":"user","content":"x"}],"x":[${'{},'.repeat(1_000_000)}{}]}`;
    const many = `{"model":"demo-chat","messages":[{"role":"user","content":"x"}],"x":[${'0,'.repeat(2_000_000)}0]}`;
    const { secret } = await app.key();
    for (const body of [bomb, many]) {
      const answer = await app.post('/v1/chat/completions', body, bearer(secret));
      expect(answer.status).toBe(400);
      expect(answer.text).toMatch(/more than [0-9]+ (objects|values)/);
    }
    expect(app.upstream.requests).toHaveLength(0);
  });

  it('who stop reading lose their connection, and never take a part for the whole (C-3)', async () => {
    await using app = await startApp({
      change: (config) => {
        for (const channel of config.channels) {
          channel.timeout = { firstByteMs: 5_000, idleMs: 200, totalMs: 20_000 };
        }
      },
    });
    const { secret } = await app.key('5');
    app.upstream.next(async (response) => {
      startStream(response);
      const piece = words(200).join('');
      for (let at = 0; at < 2_000 && !response.destroyed; at += 1) await write(response, piece);
      response.end();
    });
    const body = JSON.stringify(chatBody({ stream: true }));
    const socket = connect(app.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${app.port}\r\nauthorization: Bearer ${secret}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    const chunks: Buffer[] = [];
    socket.once('data', (chunk: Buffer) => {
      chunks.push(chunk);
      socket.pause();
      setTimeout(() => {
        socket.on('data', (more: Buffer) => chunks.push(more));
        socket.resume();
      }, 1_500);
    });
    await closed;
    const text = Buffer.concat(chunks).toString();
    expect(text).not.toContain('[DONE]');
    // No last chunk: the body is plainly cut off.
    expect(text.endsWith('0\r\n\r\n')).toBe(false);
    await expect
      .poll(
        async () =>
          (await app.app.store.ledger.read.selectFrom('holds').select('state').execute())[0]?.state,
      )
      .toBe('captured');
    await app.check();
  });
});

describe('upstreams that say odd things', () => {
  it('with a usage object without counts at the end, are charged by the last one with counts', async () => {
    await using app = await startApp();
    const { secret } = await app.key();
    app.upstream.next(async (response) => {
      startStream(response);
      const usage = { prompt_tokens: 10, completion_tokens: 50, total_tokens: 60 };
      const chunk = (more: object) =>
        `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'hi' }, finish_reason: null }], ...more })}\n\n`;
      await write(response, chunk({ usage }));
      await write(response, chunk({ usage: {} }));
      response.end('data: [DONE]\n\n');
    });
    const answer = await app.chat(bearer(secret), { stream: true });
    expect(answer.text).toContain('"cost":"0.0001025"');
    await app.check();
  });

  it('with a whole answer without a choice, are failures and free', async () => {
    await using app = await startApp();
    const { secret } = await app.key();
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    app.upstream.next(
      json(200, { choices: [], usage }),
      json(200, { choices: [[[]]], usage }),
      whole(),
    );
    for (const status of [502, 502, 200])
      expect((await app.chat(bearer(secret))).status).toBe(status);
    await app.check();
  });
});

describe('approvals', () => {
  it('are read as numbers are written, and an empty one is refused', async () => {
    await using app = await startApp();
    const { secret } = await app.key();
    const status = async (max_credits: unknown, header?: string) =>
      (
        await app.chat(
          { ...bearer(secret), ...(header !== undefined && { 'x-max-credits': header }) },
          { max_credits },
        )
      ).status;
    expect(await status(0.1 * 3)).toBe(200);
    expect(await status(1e12)).toBe(200);
    expect(await status(1e-10)).toBe(400);
    expect(await status(5, '')).toBe(400);
    expect(await status(5, '5')).toBe(200);
  });
});
