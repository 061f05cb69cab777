/** Reading what an upstream answered: none of it is believed to be there, or to be of its kind. */
import type { MediaType } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { Measured } from '../../orders/order.ts';
import type { Asset, Fields, MediaJob } from '../media.ts';

/** Ids become parts of paths: no slash, no dot alone. */
const ID = /^(?!\.{1,2}$)[A-Za-z0-9._:~=+@-]{1,512}$/;
const MAX_ASSETS = 64;
const MAX_DEPTH = 8;
const DATA_URL = /^data:([a-z0-9.+/-]*)(?:;[a-z0-9=_.+-]+)*?(;base64)?,/i;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** Beyond it a figure is somebody's mistake. */
const MOST = 2 ** 33;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text that is not empty; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A number that is not negative, also where it is written as text; undefined for anything else, and for absurd ones. */
export function amountOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && number >= 0 && number <= MOST ? number : undefined;
}

/** 0-100, from a percentage, a text such as "40%", or a fraction where `isFraction`. */
export function progressOf(value: unknown, isFraction = false): { progress?: number } {
  const given = amountOf(typeof value === 'string' ? value.replace(/%$/, '') : value);
  if (given === undefined) return {};
  return { progress: Math.min(100, Math.floor(isFraction ? given * 100 : given)) };
}

/** Throws upstream_failed (isSent): something was begun that cannot be asked for. */
export function idOf(value: unknown): string {
  const id = typeof value === 'number' ? String(value) : value;
  if (typeof id === 'string' && ID.test(id)) return id;
  throw garbled('named no id of the job');
}

export function garbled(what: string): AppError {
  return new AppError('upstream_failed', `The upstream ${what}.`, { details: { isSent: true } });
}

/** The value at a path of names: `at(answer, 'data', 'id')`. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, name) => {
    if (Array.isArray(inner)) return (inner as unknown[])[Number(name)];
    return isFields(inner) && Object.hasOwn(inner, name) ? inner[name] : undefined;
  }, value);
}

/** A link or a data: URL, a base64 text where `isBase64`; undefined for anything else. */
export function assetOf(value: unknown, contentType?: unknown): Asset | undefined {
  const url = textOf(value);
  if (url === undefined) return undefined;
  const type = textOf(contentType);
  const given = type === undefined ? {} : { contentType: type };
  // A text that begins with a link is a text.
  if (/^https?:\/\//i.test(url)) {
    return !/\s/.test(url) && URL.canParse(url) ? { url, ...given } : undefined;
  }
  const data = readDataUrl(url);
  return data && { bytes: data.bytes, ...given, ...(data.type && { contentType: data.type }) };
}

export function readDataUrl(url: string): { bytes: Buffer; type: string } | undefined {
  const match = DATA_URL.exec(url.slice(0, 256));
  if (!match) return undefined;
  const text = url.slice(match[0].length);
  const bytes = match[2] ? Buffer.from(text, 'base64') : Buffer.from(decoded(text));
  return bytes.length ? { bytes, type: match[1]!.toLowerCase() } : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The bytes behind base64 text, with or without the head of a data: URL; undefined for what is none. */
export function base64Of(value: unknown): Buffer | undefined {
  const text = textOf(value);
  if (text === undefined) return undefined;
  const data = readDataUrl(text);
  if (data) return data.bytes;
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** Every link in an answer of unknown shape, in its order: those of `{url, content_type}` objects, and texts that are links. */
export function linksIn(value: unknown, depth = MAX_DEPTH, found: Asset[] = []): Asset[] {
  if (found.length >= MAX_ASSETS || depth === 0) return found;
  if (typeof value === 'string') {
    const asset = assetOf(value);
    if (asset) found.push(asset);
  } else if (Array.isArray(value)) {
    for (const item of value) linksIn(item, depth - 1, found);
  } else if (isFields(value)) {
    const asset = typeof value['url'] === 'string' && assetOf(value['url'], value['content_type']);
    if (asset) found.push(asset);
    else for (const item of Object.values(value)) linksIn(item, depth - 1, found);
  }
  return found;
}

const IMAGES: readonly MediaType[] = ['image', 'image_edit', 'upscale', 'background_remove'];

/** `count` results, and what the upstream reports of units for all of them together. Figures that are none are left out. */
export function measured(
  { type }: Pick<MediaJob, 'type'>,
  count: number,
  reported: Record<string, unknown> = {},
  upstreamCostUsd?: string,
): Measured {
  const figures = Object.entries(reported).flatMap(([unit, value]) => {
    const amount = amountOf(value);
    return amount === undefined ? [] : [[unit, amount] as const];
  });
  return {
    units: {
      [IMAGES.includes(type) ? 'image' : 'generation']: count,
      ...Object.fromEntries(figures),
    },
    ...(upstreamCostUsd !== undefined && { upstreamCostUsd }),
  };
}

/** Dollars as a plain decimal; undefined for what is no amount of them. */
export function usdOf(value: unknown, scale = 1): string | undefined {
  const amount = amountOf(value);
  if (amount === undefined) return undefined;
  return (amount / scale).toFixed(12).replace(/\.?0+$/, '') || '0';
}
