/** What upstreams say of themselves besides their answer: what it cost their customer, and a status inside an answer of status 200. */
import type { ReportedCost } from '../config/config.ts';
import { isFields } from './openai-usage.ts';

type Fields = Record<string, unknown>;

/** xAI's unit. */
const TICK_DECIMALS = 10;
/** No request costs more; a number above it is in another unit. */
const MOST_USD = 1_000_000;
const DECIMALS = 15;
const DECIMAL = /^(0|[1-9][0-9]{0,6})(\.[0-9]{1,40})?$/;

/** Decimal US dollars; null where it says nothing that can be believed. */
export function costOf(answer: Fields, at: ReportedCost | null): string | null {
  const usage = isFields(answer['usage']) ? answer['usage'] : {};
  switch (at) {
    case 'usage.cost':
      return openRouterCost(usage);
    case 'usage.cost_in_usd_ticks':
      return ticks(usage['cost_in_usd_ticks']);
    case 'cost.usd':
      return isFields(answer['cost']) ? usd(answer['cost']['usd']) : null;
    case 'x-litellm-response-cost':
    case null:
      return null;
  }
}

/** As `costOf`, for where it stands in a header. */
export function headerCost(
  headers: Record<string, string | string[] | undefined>,
  at: ReportedCost | null,
): string | null {
  return at === 'x-litellm-response-cost' ? usd(Number(headers[at])) : null;
}

/** With a key of the operator's own at OpenRouter, `cost` is its fee, and the vendor's bill comes besides. */
function openRouterCost(usage: Fields): string | null {
  const cost = usd(usage['cost']);
  const details = usage['cost_details'];
  if (cost === null || usage['is_byok'] !== true || !isFields(details)) return cost;
  const upstream = usd(details['upstream_inference_cost']);
  return upstream === null ? cost : usd(Number(cost) + Number(upstream));
}

function ticks(value: unknown): string | null {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return null;
  const digits = String(value).padStart(TICK_DECIMALS + 1, '0');
  return trimmed(`${digits.slice(0, -TICK_DECIMALS)}.${digits.slice(-TICK_DECIMALS)}`);
}

/** A JSON number as its shortest decimal, which is what was sent. */
function usd(value: unknown): string | null {
  const number = typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !(number >= 0 && number <= MOST_USD)) return null;
  const text = String(number);
  return trimmed(DECIMAL.test(text) ? text : number.toFixed(DECIMALS));
}

function trimmed(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal;
}

/** Words for "too many requests" where others send a number. */
const BUSY = new Set(['rate_limit_exceeded', 'rate_limit_error', 'too_many_requests']);

/** The HTTP status that an error inside an answer stands for; null where it does not say. */
export function errorStatusOf(answer: Fields): number | null {
  const error = answer['error'];
  if (!isFields(error)) return null;
  for (const name of ['code', 'status', 'status_code']) {
    const value = error[name];
    const status =
      typeof value === 'string' && /^[45][0-9]{2}$/.test(value) ? Number(value) : value;
    if (typeof status === 'number' && Number.isInteger(status) && status >= 400 && status < 600) {
      return status;
    }
  }
  return BUSY.has(String(error['code'])) || BUSY.has(String(error['type'])) ? 429 : null;
}
