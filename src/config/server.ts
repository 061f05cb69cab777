/** `server`, `siwx` and `limits`. */
import type { LimitsConfig, RateTier, ServerConfig, SiwxConfig } from './config.ts';
import type { Faults, Path } from './fault.ts';
import type { RawFile, RawTier } from './raw.ts';
import { isCidr, isHostWithPort, isListenHost, isPublicOrigin, originOf } from './urls.ts';

export function readServer(
  raw: RawFile['server'],
  listen: { host: string; port: number },
  faults: Faults,
): ServerConfig {
  checkCidrs(raw.trusted_proxies, ['server', 'trusted_proxies'], faults);
  raw.cors_origins.forEach((origin, n) => {
    if (origin === undefined || origin === '*' || originOf(origin) !== null) return;
    faults.add(
      ['server', 'cors_origins', n],
      'must be "*" or an origin like https://app.example.com',
    );
  });
  return {
    ...listen,
    publicUrl: readPublicUrl(raw.public_url, faults),
    adminListen: readAdminListen(raw.admin_listen, listen, faults),
    trustedProxies: present(raw.trusted_proxies),
    corsOrigins: present(raw.cors_origins).map((origin) => originOf(origin) ?? origin),
  };
}

function readPublicUrl(url: string | null, faults: Faults): string | null {
  if (url === null) return null;
  const origin = originOf(url);
  const path = ['server', 'public_url'];
  if (origin === null) {
    faults.add(path, 'must be an origin like https://gw.example.com, without path, query or user');
  } else if (!isPublicOrigin(origin)) {
    faults.add(path, 'must begin with https://; plain http is for loopback only');
  }
  return origin;
}

function readAdminListen(
  text: string | null,
  listen: { port: number },
  faults: Faults,
): ServerConfig['adminListen'] {
  if (text === null) return null;
  const path = ['server', 'admin_listen'];
  const { host = '', port = '' } =
    /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (!isListenHost(bare) || Number(port) > 65_535) {
    faults.add(path, 'must be an address and a port, like 127.0.0.1:8403 or [::1]:8403');
    return null;
  }
  if (Number(port) === listen.port && listen.port !== 0) {
    faults.add(path, `must be another port than ${listen.port}, which is everybody's (PORT)`);
  }
  return { host: bare, port: Number(port) };
}

export function checkCidrs(
  list: readonly (string | undefined)[],
  path: Path,
  faults: Faults,
): void {
  list.forEach((cidr, n) => {
    if (cidr === undefined || isCidr(cidr)) return;
    faults.add(
      [...path, n],
      'must be a CIDR like 10.0.0.0/8 or one IP address, not the whole internet',
    );
  });
}

export function readSiwx(raw: RawFile['siwx'], faults: Faults): SiwxConfig {
  raw.extra_domains.forEach((domain, n) => {
    if (domain === undefined || isHostWithPort(domain)) return;
    faults.add(
      ['siwx', 'extra_domains', n],
      'must be a host like api.example.com or localhost:3000, without scheme',
    );
  });
  return {
    replay: raw.replay,
    maxAgeSeconds: raw.max_age_seconds,
    extraDomains: present(raw.extra_domains).map((domain) => domain.toLowerCase()),
  };
}

/** 0 lifts a bound. For timeouts that is what 0 means to node:http, too; counts become the largest number. */
export function readLimits(raw: RawFile['limits']): LimitsConfig {
  const bound = (count: number) => (count === 0 ? Number.MAX_SAFE_INTEGER : count);
  return {
    bodyBytes: bound(raw.body_bytes),
    headerBytes: bound(raw.header_bytes),
    upstreamBodyBytes: bound(raw.upstream_body_bytes),
    sseLineBytes: bound(raw.sse_line_bytes),
    sseKeepAliveMs: raw.sse_keep_alive_ms,
    tokenizer: raw.tokenizer,
    stickyMs: raw.sticky_ms,
    connections: bound(raw.connections),
    connectionsPerAddress: bound(raw.connections_per_address),
    headersTimeoutMs: raw.headers_timeout_ms,
    requestTimeoutMs: raw.request_timeout_ms,
    drainMs: raw.drain_ms,
    rates: readRates(raw.rates),
    failedRequests: raw.failed_requests,
    floods: {
      unauthorizedPerMinute: raw.floods.unauthorized_per_minute,
      paymentRequiredPerMinute: raw.floods.payment_required_per_minute,
    },
  };
}

function readRates(raw: RawFile['limits']['rates']): LimitsConfig['rates'] {
  const tiers = Object.entries(raw).flatMap(([name, tier]) =>
    tier === undefined ? [] : [[name, readTier(tier)] as const],
  );
  return Object.fromEntries(tiers);
}

function readTier(raw: RawTier): RateTier {
  return {
    requestsPerMinute: raw.requests_per_minute,
    requestsPerDay: raw.requests_per_day,
    tokensPerMinute: raw.tokens_per_minute,
    tokensPerDay: raw.tokens_per_day,
  };
}

function present(list: readonly (string | undefined)[]): string[] {
  return list.filter((item) => item !== undefined);
}
