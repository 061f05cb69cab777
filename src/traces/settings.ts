/**
 * The standard variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. What is wrong in one of them is
 * said and left out, as the standard has it: traces are no reason not to sell.
 */
import type { Sampler } from './sampler.ts';
import { samplerOf } from './sampler.ts';

type Environment = Record<string, string | undefined>;

export interface TraceSettings {
  url: string;
  /** May hold secrets. */
  headers: Record<string, string>;
  timeoutMs: number;
  resource: Record<string, string>;
  sampler: Sampler;
  /** What was not understood, without its values. */
  notes: string[];
}

const TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
const MAX_PAIRS = 64;
const SAMPLER = 'parentbased_always_on';

/** Null where nobody asked for traces, or they are turned off. */
export function traceSettings(environment: Environment): TraceSettings | null {
  const read = (name: string) => environment[name]?.trim() || null;
  const ofTraces = (name: string) =>
    read(`OTEL_EXPORTER_OTLP_TRACES_${name}`) ?? read(`OTEL_EXPORTER_OTLP_${name}`);
  const notes: string[] = [];
  const given = ofTraces('ENDPOINT');
  if (given === null || isOff(read, notes)) return null;
  const url = urlOf(given, read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') !== null);
  if (url === null) notes.push('OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL');
  const protocol = ofTraces('PROTOCOL');
  if (protocol !== null && protocol !== 'http/json') {
    notes.push('OTEL_EXPORTER_OTLP_PROTOCOL: only http/json is spoken here');
  }
  const pairs = (name: string, text: string | null) => pairsOf(name, text, notes);
  const headers = pairs('OTEL_EXPORTER_OTLP_HEADERS', ofTraces('HEADERS'));
  const resource = pairs('OTEL_RESOURCE_ATTRIBUTES', read('OTEL_RESOURCE_ATTRIBUTES'));
  const name = read('OTEL_SERVICE_NAME') ?? resource['service.name'] ?? 'farebox';
  return {
    url: protocol === 'grpc' ? '' : (url ?? ''),
    headers,
    timeoutMs: timeoutOf(ofTraces('TIMEOUT'), notes),
    resource: { ...resource, 'service.name': name },
    sampler: readSampler(read('OTEL_TRACES_SAMPLER'), read('OTEL_TRACES_SAMPLER_ARG'), notes),
    notes,
  };
}

function isOff(read: (name: string) => string | null, notes: string[]): boolean {
  if (read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return true;
  const exporter = read('OTEL_TRACES_EXPORTER') ?? 'otlp';
  if (exporter !== 'otlp' && exporter !== 'none') {
    notes.push('OTEL_TRACES_EXPORTER: only otlp and none are known here');
  }
  return exporter === 'none';
}

function urlOf(given: string, isWhole: boolean): string | null {
  if (!URL.canParse(given)) return null;
  const url = new URL(given);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  if (!isWhole) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url.href;
}

/** "name=value,…", with values percent-encoded. */
function pairsOf(name: string, text: string | null, notes: string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of (text ?? '').split(',').slice(0, MAX_PAIRS)) {
    if (pair.trim() === '') continue;
    const at = pair.indexOf('=');
    const value = at > 0 ? decoded(pair.slice(at + 1).trim()) : null;
    if (value === null || /[\r\n]/.test(value)) notes.push(`${name} must be name=value,name=value`);
    else pairs[pair.slice(0, at).trim()] = value;
  }
  return pairs;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function timeoutOf(text: string | null, notes: string[]): number {
  const ms = Number(text ?? TIMEOUT_MS);
  if (Number.isInteger(ms) && ms > 0) return Math.min(ms, MAX_TIMEOUT_MS);
  notes.push('OTEL_EXPORTER_OTLP_TIMEOUT must be a number of milliseconds');
  return TIMEOUT_MS;
}

function readSampler(name: string | null, argument: string | null, notes: string[]): Sampler {
  const ratio = Number(argument ?? 1);
  const isRatio = ratio >= 0 && ratio <= 1;
  if (!isRatio) notes.push('OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1');
  const sampler = samplerOf(name ?? SAMPLER, isRatio ? ratio : 1);
  if (sampler) return sampler;
  notes.push('OTEL_TRACES_SAMPLER is none of the names of the standard');
  return samplerOf(SAMPLER, 1)!;
}
