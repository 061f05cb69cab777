/** What a key may be used for. A key that comes from another one obeys its own rules and those of every key above it. */
import { AppError } from '../errors.ts';
import { ipRanges } from '../ip-ranges.ts';
import { type NanoUsd, parseUsd } from '../money.ts';

export const MODALITIES = [
  'text',
  'embedding',
  'image',
  'image_edit',
  'upscale',
  'background_remove',
  'tts',
  'stt',
  'music',
  'sound',
  'video',
] as const;
export type Modality = (typeof MODALITIES)[number];

export interface RateRules {
  requestsPerMinute?: number | undefined;
  requestsPerDay?: number | undefined;
  tokensPerMinute?: number | undefined;
  tokensPerDay?: number | undefined;
}

/** Absent means: no rule. An empty list allows nothing. */
export interface KeyRules {
  /** Model ids; `*` stands for any characters. */
  models?: readonly string[] | undefined;
  /** Addresses or CIDR ranges that it may be used from. */
  ips?: readonly string[] | undefined;
  modalities?: readonly Modality[] | undefined;
  /** Groups of channels that serve it; `default` without this rule. */
  groups?: readonly string[] | undefined;
  /** The first group tried; must be among `groups`. */
  defaultGroup?: string | undefined;
  /** What happens when a balance covers less than asked for, where the request does not say. */
  budgetMode?: 'clamp' | 'refuse' | undefined;
  /** Where ends of tasks are told to, where the request does not say. */
  callbackUrl?: string | undefined;
  /** The most that one request may cost, decimal US dollars. */
  maxRequestUsd?: string | undefined;
  rateLimits?: RateRules | undefined;
}

type Rules = readonly KeyRules[];

export function readRules(json: string): KeyRules {
  return JSON.parse(json) as KeyRules;
}

/** Throws forbidden where a rule of the key, or of one that it comes from, excludes the model. */
export function requireModel(rules: Rules, model: { id: string; type: string }): void {
  for (const { models, modalities } of rules) {
    if (models && !models.some((glob) => matches(glob, model.id))) {
      throw new AppError('forbidden', `model: this API key may not use ${model.id}.`);
    }
    if (modalities && !modalities.some((modality) => modality === model.type)) {
      throw new AppError('forbidden', `model: this API key may not use ${model.type} models.`);
    }
  }
}

/** Throws forbidden where the address is in none of a rule's ranges. */
export function requireIp(rules: Rules, ip: () => string): void {
  for (const { ips } of rules) {
    if (ips && !inRanges(ips, ip())) {
      throw new AppError('forbidden', 'This API key may not be used from this address.');
    }
  }
}

/** The groups whose channels may serve, best first. */
export function groupsOf(rules: Rules): readonly string[] {
  let groups: readonly string[] | null = null;
  for (const { groups: own } of rules) {
    if (!own) continue;
    groups = groups === null ? own : groups.filter((group) => own.includes(group));
  }
  const first = rules.find(({ defaultGroup }) => defaultGroup !== undefined)?.defaultGroup;
  if (first !== undefined && (groups ?? [first]).includes(first)) {
    return [first, ...(groups ?? []).filter((group) => group !== first)];
  }
  return groups ?? DEFAULT_GROUPS;
}

const DEFAULT_GROUPS = ['default'];

/** The smallest ceiling for one request; null without one. */
export function mostPerRequest(rules: Rules): NanoUsd | null {
  let most: NanoUsd | null = null;
  for (const { maxRequestUsd } of rules) {
    if (maxRequestUsd === undefined) continue;
    const own = parseUsd(maxRequestUsd);
    if (most === null || own < most) most = own;
  }
  return most;
}

export function budgetModeOf(rules: Rules): 'clamp' | 'refuse' {
  return rules.some(({ budgetMode }) => budgetMode === 'refuse') ? 'refuse' : 'clamp';
}

/** Whether a glob matches a whole name; `*` is the only sign that stands for others. Linear in the name's length per star. */
export function matches(glob: string, name: string): boolean {
  const [first = '', ...rest] = glob.split('*');
  if (!rest.length) return glob === name;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop()!;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

const MAX_CACHED_LISTS = 10_000;
const lists = new Map<string, (ip: string) => boolean>();

function inRanges(ranges: readonly string[], ip: string): boolean {
  const key = ranges.join(' ');
  let has = lists.get(key);
  if (!has) {
    if (lists.size >= MAX_CACHED_LISTS) lists.clear();
    has = ipRanges(ranges);
    lists.set(key, has);
  }
  return has(ip);
}
