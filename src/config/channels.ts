/** `channels`: the ways to upstream servers. */
import type { ChannelConfig } from './config.ts';
import { secretProblem } from './environment.ts';
import type { Faults, Path } from './fault.ts';
import type { RawChannel } from './raw.ts';
import { readTask } from './tasks.ts';
import { urlProblem } from './urls.ts';
import { factsOfHost, type HostFacts, VENDOR, vendorName } from './vendors.ts';

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
  const facts = factsOfHost(host);
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
    removeHeaders: present(raw.remove_headers).map((name) => name.toLowerCase()),
    params: readParams(raw.params, [...path, 'params'], faults),
    group: raw.group,
    priority: raw.priority,
    weight: raw.weight,
    concurrency: raw.concurrency,
    queue: { size: raw.queue.size, waitMs: raw.queue.wait_ms },
    retryOn: readRetryOn(raw),
    statusMap: readStatusMap(raw, path, faults),
    timeout: {
      firstByteMs: raw.timeout.first_byte_ms,
      idleMs: raw.timeout.idle_ms,
      totalMs: raw.timeout.total_ms,
    },
    onDisconnect: raw.on_disconnect,
    outputLimitField: raw.output_limit_field ?? facts.outputLimitField ?? 'max_tokens',
    streamOptions: raw.stream_options ?? facts.streamOptions ?? true,
    responses: raw.responses ?? facts.responses ?? true,
    reportedCost:
      raw.reported_cost === 'none' ? null : (raw.reported_cost ?? facts.reportedCost ?? null),
    dialect: raw.dialect ?? facts.dialect ?? 'openai',
    ...readTask(raw, path, faults),
    vendor: readVendor(raw, facts, path, faults),
  };
}

/** Keys of a vendor go to its hosts, and to those of channels that the operator says are the vendor's. */
function readVendor(raw: RawChannel, facts: HostFacts, path: Path, faults: Faults): string | null {
  if (raw.vendor === undefined) return facts.vendor;
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

/** What decides the price, the ceiling or the route is not for an override to change behind their backs. */
const DECIDING = new Set([
  'model',
  'messages',
  'input',
  'prompt',
  'stream',
  'stream_options',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
]);

function readParams(
  raw: RawChannel['params'],
  path: Path,
  faults: Faults,
): ChannelConfig['params'] {
  const remove = present(raw.remove);
  const check = (name: string, at: Path) => {
    if (DECIDING.has(name)) faults.add(at, 'must be left out: it decides what a request costs');
  };
  remove.forEach((name, n) => check(name, [...path, 'remove', n]));
  const set = Object.entries(raw.set).map(([name, value]) => {
    check(name, [...path, 'set', name]);
    return [name, JSON.stringify(value)] as const;
  });
  return { set: Object.fromEntries(set), remove };
}

/** Classes of statuses become all of theirs. */
function readRetryOn({ retry_on: raw }: RawChannel): number[] | null {
  if (raw === undefined) return null;
  const statuses = present(raw).flatMap((status) =>
    typeof status === 'number'
      ? [status]
      : Array.from({ length: 100 }, (_, n) => Number(status[0]) * 100 + n),
  );
  return [...new Set(statuses)];
}

function readStatusMap(raw: RawChannel, path: Path, faults: Faults): ChannelConfig['statusMap'] {
  const map: ChannelConfig['statusMap'] = {};
  for (const [status, verdict] of Object.entries(raw.status_map)) {
    if (!/^[345][0-9]{2}$/.test(status))
      faults.add([...path, 'status_map', status], 'must be a status from 300 to 599');
    else if (verdict !== undefined) map[Number(status)] = verdict;
  }
  return map;
}

function present<T>(list: readonly (T | undefined)[]): T[] {
  return list.filter((item) => item !== undefined);
}
