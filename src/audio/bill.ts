/** What a request for sound is charged, and what its row says of it. */
import type { Bill } from '../chat/settlement.ts';
import { balanceHeaders, type Headers, type Standing } from '../chat/headers.ts';
import { nanoUsd } from '../money.ts';
import { deliveredCost, type Measured } from '../orders/order.ts';
import { mediaOutlay, NO_OUTLAY, outlayFields } from '../pricing/outlay.ts';
import type { Units } from '../pricing/rules.ts';
import type { AudioRequest } from './call.ts';
import type { AudioJob, AudioTools } from './path.ts';

/** Of the units of an order, those that people ask about. */
const SHOWN: Record<string, string> = {
  character: 'characters',
  input_second: 'seconds',
  input_token: 'input_tokens',
  output_token: 'output_tokens',
};

/** `isEstimated`: nobody reported what was measured, so it costs no more than was held. */
export function billFor(
  { plan, route, toPay, settlement }: AudioJob<AudioRequest>,
  { drift }: Pick<AudioTools, 'drift'>,
  measured: Measured,
  { isEstimated }: { isEstimated: boolean },
): Bill {
  const { entry, order, most } = plan;
  const { amount } = deliveredCost(entry, order, measured);
  const price = toPay(most !== null && most < amount ? most : amount);
  const cost = isEstimated ? nanoUsd(Math.min(price, settlement.hold.amount)) : price;
  const units: Units = { ...order.units, ...measured.units };
  const { circumstances } = order;
  const outlay = route.own
    ? NO_OUTLAY
    : mediaOutlay(route.cost, { units, circumstances }, measured.upstreamCostUsd);
  // What was estimated here says nothing of the rules.
  if (!isEstimated && !route.own) drift?.add(route.channel.id, entry.model.id, outlay);
  const shown = Object.entries(SHOWN).flatMap(([unit, name]) => {
    const quantity = units[unit];
    const isPriced = entry.price.rules?.has(unit) ?? false;
    return quantity !== undefined && isPriced ? [[name, quantity]] : [];
  });
  const usage = JSON.stringify({
    ...Object.fromEntries(shown),
    ...(isEstimated && { estimated: true }),
    ...(route.own && { byok: route.own.vendor }),
    ...outlayFields(route.channel.id, outlay),
  });
  return { cost, tokens: 0, usage };
}

export function audioHeaders(
  { call, route }: AudioJob<AudioRequest>,
  contentType: string,
  standing: Standing | null,
): Headers {
  const headers: Headers = { 'content-type': contentType, 'x-content-type-options': 'nosniff' };
  if (route.own) headers['x-byok'] = 'used';
  if (standing) balanceHeaders(headers, standing);
  // Which way an answer came is the operator's business.
  if (call.principal.role === 'operator') headers['x-channel'] = route.channel.id;
  return headers;
}
