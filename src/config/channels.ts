/** `channels`: the ways to upstream servers. */
import type { ChannelConfig } from './config.ts';
import { secretProblem } from './environment.ts';
import type { Faults, Path } from './fault.ts';
import type { RawChannel } from './raw.ts';
import { urlProblem } from './urls.ts';
import { VENDOR, vendorName, vendorOfHost } from './vendors.ts';

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const HEADER_VALUE = /^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/;
/** Those that the call itself sets, and those that belong to one connection. */
const OWN_HEADERS = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'accept-encoding',
  'proxy-authorization',
  'proxy-connection',
]);
/** A shorter one could not be kept out of answers without blotting out ordinary words. */
const SHORTEST_KEY = 8;
const TIMEOUTS = ['first_byte_ms', 'idle_ms'] as const;

export function readChannels(
  raw: readonly (RawChannel | undefined)[],
  faults: Faults,
): ChannelConfig[] {
  const seen = new Set<string>();
  return raw.flatMap((channel, n) => {
    if (channel === undefined) return [];
    const path = ['channels', n];
    const { id } = channel;
    if (id !== undefined && seen.has(id))
      faults.add([...path, 'id'], 'must be the only channel of this id');
    seen.add(id ?? '');
    return [readChannel(channel, path, faults)];
  });
}

function readChannel(raw: RawChannel, path: Path, faults: Faults): ChannelConfig {
  const baseUrl = raw.base_url ?? '';
  const problem = raw.base_url === undefined ? null : urlProblem(baseUrl);
  if (problem !== null) faults.add([...path, 'base_url'], problem);
  const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : '';
  const apiKey = readApiKey(raw, path, faults);
  checkHeaders(raw.headers, apiKey !== null, [...path, 'headers'], faults);
  for (const name of TIMEOUTS) {
    if (raw.timeout[name] > raw.timeout.total_ms)
      faults.add([...path, 'timeout', name], 'must be at most total_ms');
  }
  return {
    id: raw.id ?? '',
    provider: raw.provider ?? '',
    baseUrl: baseUrl.replace(/\/+$/, ''),
    apiKey,
    headers: raw.headers,
    group: raw.group,
    priority: raw.priority,
    weight: raw.weight,
    concurrency: raw.concurrency,
    timeout: {
      firstByteMs: raw.timeout.first_byte_ms,
      idleMs: raw.timeout.idle_ms,
      totalMs: raw.timeout.total_ms,
    },
    onDisconnect: raw.on_disconnect,
    // OpenAI's reasoning models refuse max_tokens; most other servers know nothing else.
    outputLimitField:
      raw.output_limit_field ??
      (host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens'),
    vendor: readVendor(raw, host, path, faults),
  };
}

/** Keys of a vendor go to its hosts, and to those of channels that the operator says are the vendor's. */
function readVendor(raw: RawChannel, host: string, path: Path, faults: Faults): string | null {
  if (raw.vendor === undefined) return vendorOfHost(host);
  if (raw.vendor === null) return null;
  const vendor = vendorName(raw.vendor);
  if (!VENDOR.test(vendor)) {
    faults.add(
      [...path, 'vendor'],
      'must be a name of up to 64 letters, digits, dots, dashes and underscores',
    );
  }
  return vendor;
}

function readApiKey(raw: RawChannel, path: Path, faults: Faults): string | null {
  if (raw.api_key === null) return null;
  const key = raw.api_key.trim();
  const problem =
    secretProblem(key) ??
    (key.length >= SHORTEST_KEY
      ? null
      : `must have at least ${SHORTEST_KEY} characters; a server without a key takes none`) ??
    (/^[\x21-\x7e]+$/.test(key) ? null : 'must be ASCII without blanks: it goes into a header');
  if (problem !== null) faults.add([...path, 'api_key'], problem);
  return key;
}

function checkHeaders(
  headers: Record<string, string>,
  hasKey: boolean,
  path: Path,
  faults: Faults,
): void {
  for (const [name, value] of Object.entries(headers)) {
    const at = [...path, name];
    if (!HEADER_NAME.test(name)) faults.add(at, 'must have the name of an HTTP header');
    else if (OWN_HEADERS.has(name.toLowerCase()))
      faults.add(at, 'must be left out: the call sets it itself');
    else if (hasKey && name.toLowerCase() === 'authorization')
      faults.add(at, 'must be left out: api_key makes it');
    else if (!HEADER_VALUE.test(value))
      faults.add(at, 'must be printable ASCII without blanks at its ends');
  }
}
