/** Documents that are the same for everybody: made once for each origin and catalogue, and kept by whoever asks again. */
import { createHash } from 'node:crypto';
import type { Catalogue } from '../../catalogue.ts';
import type { PaymentsConfig } from '../../config/config.ts';
import { type NanoUsd, ZERO_USD } from '../../money.ts';
import type { Payments } from '../../payments/payments.ts';
import type { Presets } from '../../presets.ts';
import type { Step } from '../in-turn.ts';
import type { Context } from '../request.ts';
import type { RouteEntry } from '../router.ts';

export interface DiscoveryOptions {
  catalogue: Catalogue;
  presets: Presets;
  payments: Pick<Payments, 'requirements' | 'isOffered'>;
  config: PaymentsConfig;
  creditUsd: NanoUsd;
}

/** What documents are made of. */
export interface Site extends DiscoveryOptions {
  origin: string;
  /** CAIP-2 ids of networks that can be paid on now. */
  networks: readonly string[];
  /** Complete by the time of the first request. */
  table: readonly RouteEntry[];
}

export interface Made {
  type: string;
  text: string;
  headers?: Record<string, string>;
}

export type Make = (site: Site) => Made;

interface Kept {
  /** Of what it was made of. */
  version: string;
  type: string;
  bytes: Buffer;
  etag: string;
  headers: Record<string, string>;
}

/** Origins are configured, and few. */
const MOST_KEPT = 16;

export function kept(options: DiscoveryOptions, table: readonly RouteEntry[], make: Make): Step {
  const byOrigin = new Map<string, Kept>();
  return (ctx) => {
    const { origin } = ctx.state;
    const networks = options.payments.requirements(ZERO_USD).map(({ network }) => network);
    const version = `${options.catalogue.revision} ${networks.join(' ')}`;
    let found = byOrigin.get(origin);
    if (found?.version !== version) {
      found = keep(version, make({ ...options, origin, networks, table }));
      if (byOrigin.size >= MOST_KEPT) byOrigin.clear();
      byOrigin.set(origin, found);
    }
    send(ctx, found);
  };
}

function keep(version: string, { type, text, headers = {} }: Made): Kept {
  const bytes = Buffer.from(text);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  return { version, type, bytes, etag, headers };
}

function send({ req, res, state }: Context, { type, bytes, etag, headers: more }: Kept): void {
  const { headers } = state;
  Object.assign(headers, more, {
    'cache-control': 'public, no-cache',
    'x-content-type-options': 'nosniff',
    etag,
  });
  if (req.headers['if-none-match'] === etag) {
    res.writeHead(304, headers);
    res.end();
    return;
  }
  headers['content-type'] = type;
  headers['content-length'] = String(bytes.length);
  res.writeHead(200, headers);
  res.end(bytes);
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}
