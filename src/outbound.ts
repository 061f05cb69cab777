/**
 * The one way out to URLs that somebody else chose: callbacks, and links to results. The address is checked when it is dialled, so a
 * name that changes its mind in between leads nowhere. It follows no redirect, keeps no connection for the next caller, asks for no
 * compression, and bounds time and bytes.
 */
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { Client } from 'undici';
import type { Dispatcher } from 'undici';
import { type AddressPolicy, addressPolicy } from './outbound-addresses.ts';
import { type LookUpName, nameLookUp } from './outbound-names.ts';

export interface OutboundOptions {
  /** CIDRs that may be reached although private. */
  allowPrivate: readonly string[];
  /** That may be dialled; a 0 among them: all. */
  ports: readonly number[];
  lookUp?: LookUpName;
}

export interface OutboundRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: Buffer;
  /** From the beginning to the last byte. */
  timeoutMs: number;
  /** Of silence, in between. */
  idleMs?: number;
  signal?: AbortSignal | undefined;
  /** An origin of the operator's own choice: neither its address nor its port is questioned, and names of /etc/hosts are known. */
  trusted?: string | undefined;
}

export interface OutboundAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** To be read to its end, or left by `break`; either ends the connection. */
  body: AsyncIterable<Buffer>;
  /** Leaves it unread. */
  close(): Promise<void>;
}

/** The URL leads where nothing of ours may go. */
export class RefusedUrl extends Error {
  override readonly name = 'RefusedUrl';
}

const EVERY_PORT = 0;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_URL_CHARS = 2_048;
const MAX_HEADER_BYTES = 16_384;

export class Outbound {
  #ports: ReadonlySet<number>;
  #isAllowed: AddressPolicy;
  readonly #lookUp: LookUpName;

  constructor({ allowPrivate, ports, lookUp = nameLookUp() }: OutboundOptions) {
    this.#ports = new Set(ports);
    this.#isAllowed = addressPolicy(allowPrivate);
    this.#lookUp = lookUp;
  }

  /** Other rules for whatever is dialled from now on. */
  replace({ allowPrivate, ports }: Pick<OutboundOptions, 'allowPrivate' | 'ports'>): void {
    this.#ports = new Set(ports);
    this.#isAllowed = addressPolicy(allowPrivate);
  }

  /**
   * What can be said of a URL before anything is dialled: its scheme, port and length, that it carries no user, and its address where
   * it has one instead of a name. Throws RefusedUrl.
   */
  parse(text: string, trusted?: string): URL {
    if (text.length > MAX_URL_CHARS) throw refused(`must be at most ${MAX_URL_CHARS} characters`);
    if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) throw refused('must be an https URL');
    const url = new URL(text);
    if (url.username !== '' || url.password !== '') throw refused('must not carry a user');
    if (trusted !== undefined && url.origin === trusted) return url;
    const usual = url.protocol === 'https:' ? 443 : 80;
    const port = url.port === '' ? usual : Number(url.port);
    if (port === 0 || !(this.#ports.has(EVERY_PORT) || this.#ports.has(port))) {
      const known = [...this.#ports].filter((one) => one !== EVERY_PORT).join(' or ');
      throw refused(`must be of port ${known || 'above 0'}`);
    }
    const literal = literalOf(url);
    if (literal !== null) this.#require(literal);
    return url;
  }

  /** Throws RefusedUrl where the URL or the address may not be dialled, and otherwise what went wrong on the way. */
  async request(request: OutboundRequest): Promise<OutboundAnswer> {
    const { method, headers, body, timeoutMs, idleMs = timeoutMs, trusted } = request;
    const url = this.parse(request.url, trusted);
    const isTrusted = trusted !== undefined && url.origin === trusted;
    const client = new Client(url.origin, {
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(!isTrusted && { lookup: this.#checkedLookUp }) },
      allowH2: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
    });
    const deadline = AbortSignal.timeout(timeoutMs);
    const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
    try {
      const answer = await client.request({
        method,
        path: url.pathname + url.search,
        headers: { ...headers, 'accept-encoding': 'identity' },
        body: body ?? null,
        reset: true,
        signal,
      });
      return answerOf(answer, () => client.destroy());
    } catch (error) {
      await client.destroy();
      throw asRefusal(error) ?? error;
    }
  }

  /** In place of the system's own: every address of the name must be one that may be dialled, and those are the ones dialled. */
  readonly #checkedLookUp: LookupFunction = (name, options, done) => {
    this.#addressesOf(name).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address, family: isIP(address) }));
        if (options.all) done(null, all);
        else done(null, all[0]!.address, all[0]!.family);
      },
      (error: Error) => done(error, ''),
    );
  };

  async #addressesOf(name: string): Promise<string[]> {
    const addresses = await this.#lookUp(name.toLowerCase().replace(/\.$/, ''));
    for (const address of addresses) this.#require(address);
    return addresses;
  }

  #require(address: string): void {
    if (!this.#isAllowed(address)) throw refused('must lead to a public address');
  }
}

/** "[::1]" and "127.0.0.1" as they are dialled; null for a name. */
function literalOf({ hostname }: URL): string | null {
  const bare = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return isIP(bare) === 0 ? null : bare;
}

function answerOf(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  destroy: () => Promise<void>,
): OutboundAnswer {
  // One that is left unread ends in an error that nobody waits for.
  body.on('error', () => {});
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of body) yield chunk as Buffer;
    } finally {
      body.destroy();
      await destroy();
    }
  }
  return {
    status: statusCode,
    headers,
    body: chunks(),
    close: async () => {
      body.destroy();
      await destroy();
    },
  };
}

/** Several addresses that were tried fail as one error of many. */
function asRefusal(error: unknown): RefusedUrl | null {
  if (error instanceof RefusedUrl) return error;
  const causes = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const cause = error instanceof Error ? error.cause : undefined;
  const refusal = [...causes, cause].find((one) => one instanceof RefusedUrl);
  return refusal ?? null;
}

function refused(what: string): RefusedUrl {
  return new RefusedUrl(what);
}
