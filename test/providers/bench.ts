/** What a provider's tests are made of: a dialect, and a server in front of a scripted upstream that speaks it. */
import { expect } from 'vitest';
import type { Kind } from '../../src/chat/kinds.ts';
import type { ChannelConfig } from '../../src/config/config.ts';
import type { Use } from '../../src/providers/index.ts';
import { type Answer, channel, KEY, type Rig, startRig } from '../support/chat.ts';

export interface Dialect {
  use: Use;
  provider: string;
  kind: Kind;
  /** A request of its callers, with an output limit of 50 tokens where there is one. */
  body: Record<string, unknown>;
  /** An answer of its upstream, with this usage; undefined: without any. */
  whole(usage: object | undefined, text?: string): object;
  /** Twenty tokens in, five out. */
  usage: object;
  /** That a usage can be, and must not be believed. */
  odd: object[];
  /** Null where nothing is streamed. */
  stream: {
    /** Up to some text, sixteen bytes of it. */
    begin: string[];
    /** From there to its own end, with this usage. */
    end(usage: object | undefined): string[];
    /** An error among its events. */
    error(message: string): string;
    /** What its callers see of a whole stream, at its end. */
    last: RegExp;
  } | null;
  /** What its upstream answers a status of an error with. */
  error(message: string): object;
  /** Where its key goes. */
  keyHeader: 'authorization' | 'x-api-key';
  /** Of twenty tokens in and five out; a nano-dollar and ten each where nothing else is said. */
  cost?: number;
}

/** One server for all tests of a dialect: each begins with a channel that nothing is known of. */
export class Bench {
  rig!: Rig;
  readonly #dialect: Dialect;
  #before = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  async open(): Promise<void> {
    const { kind, provider } = this.#dialect;
    this.rig = await startRig({ kind, channel: { provider }, model: { type: kind.type } });
  }

  async begin(more: Partial<ChannelConfig> = {}): Promise<void> {
    const { routing, upstream, logged, store } = this.rig;
    routing.replace([]);
    routing.replace([channel(upstream.url, { provider: this.#dialect.provider, ...more })]);
    upstream.requests.length = 0;
    logged.length = 0;
    // Holds in their order.
    store.clock.ms += 1_000;
    this.#before = await this.rig.charged();
  }

  /** By the request of this test. */
  async charged(): Promise<number> {
    return (await this.rig.charged()) - this.#before;
  }

  async hold() {
    return this.rig.store.ledger.read
      .selectFrom('holds')
      .selectAll()
      .orderBy('created_at', 'desc')
      .executeTakeFirstOrThrow();
  }

  ended() {
    return this.rig.traffic.of('main').ended;
  }

  async expectFree(answer: Answer, code: string): Promise<void> {
    expect(answer.json).toMatchObject({ code });
    expect(answer.text).not.toContain(KEY);
    expect(await this.charged()).toBe(0);
  }

  /** Its input and what went out of its output, and no more than was held. */
  async expectPart(): Promise<void> {
    const charged = await this.charged();
    expect(charged).toBeGreaterThan(10);
    expect(charged).toBeLessThanOrEqual((await this.hold()).amount);
    expect(await this.rig.lastUsage()).toMatchObject({ channel: 'main' });
  }
}
