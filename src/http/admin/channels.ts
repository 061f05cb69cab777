/**
 * /admin/api/channels: which there are, how they are, what they took and cost, on and off. Addresses and keys of upstreams are not
 * shown.
 */
import { z } from 'zod';
import type { ChannelConfig } from '../../config/config.ts';
import type { ChannelSwitchRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import type { Span } from '../../usage/sources.ts';
import { operation } from '../operation.ts';
import {
  attempts,
  latency,
  served,
  shownAttempts,
  shownLatency,
  shownServed,
} from './channel-figures.ts';
import { iso, reason } from './fields.ts';
import type { AdminOptions } from './options.ts';
import { shownSpan, spanFields, spanOf, spanView } from './spans.ts';

const channelView = z.strictObject({
  id: z.string(),
  provider: z.string(),
  vendor: z.string().nullable(),
  group: z.string(),
  priority: z.number(),
  weight: z.number(),
  isOn: z.boolean(),
  /** The last switch; null where there was none. */
  switched: z.strictObject({ at: z.string(), actor: z.string(), reason: z.string() }).nullable(),
  /** By model, of those that were used since the start. */
  health: z.array(
    z.strictObject({ model: z.string(), state: z.enum(['closed', 'open', 'half-open']) }),
  ),
  latency,
  /** Of the span of days. */
  served: z.strictObject(served),
  attempts: z.strictObject(attempts),
  /** Of the model that is off the most since the start: what the upstream says that it costs, over the cost rules, less one. */
  costDrift: z.number(),
});

async function shown(channels: ChannelConfig[], { operator }: AdminOptions, span: Span) {
  const { traffic, channelUsage } = operator;
  const switches = await operator.switches.all();
  const sums = await channelUsage.served(span);
  const counts = await channelUsage.attempts(span);
  const drifts = operator.drift.worst();
  const health = Map.groupBy(operator.routing.health(), ({ channel }) => channel);
  return channels.map(({ id, provider, vendor, group, priority, weight }) => ({
    id,
    provider,
    vendor,
    group,
    priority,
    weight,
    isOn: !operator.switches.isOff(id),
    switched: lastSwitch(switches.get(id)),
    health: (health.get(id) ?? []).map(({ model, state }) => ({ model, state })),
    latency: shownLatency(traffic.of(id)),
    served: shownServed(sums.get(id)),
    attempts: shownAttempts(counts.get(id)),
    costDrift: drifts.get(id) ?? 0,
  }));
}

function lastSwitch(row: ChannelSwitchRow | undefined) {
  return row ? { at: iso(row.at), actor: row.actor, reason: row.reason } : null;
}

const listQuery = z.strictObject(spanFields);

export function listChannels(options: AdminOptions) {
  const { operator, clock } = options;
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Channels, how they are, and what they took and cost in UTC days',
    right: 'admin',
    query: listQuery,
    answer: z.strictObject({
      object: z.literal('list'),
      span: spanView,
      data: z.array(channelView),
    }),
    run: async ({ query }) => {
      const span = spanOf(query, clock.nowMs());
      return {
        object: 'list',
        span: shownSpan(span),
        data: await shown(operator.routing.channels(), options, span),
      };
    },
  });
}

const switchBody = z.strictObject({ isOn: z.boolean('must be true or false'), reason });

export function switchChannel(options: AdminOptions) {
  const { operator, clock } = options;
  const { switches, routing } = operator;
  return operation<z.infer<typeof switchBody>>({
    summary: 'Turn a channel on or off, from the next request on',
    right: 'admin',
    body: switchBody,
    answer: channelView,
    run: async ({ principal, params, body }) => {
      const channel = routing.channels().find(({ id }) => id === params['id']);
      if (!channel) throw new AppError('not_found', 'There is no such channel.');
      await switches.set(principal, channel.id, body);
      return (await shown([channel], options, spanOf({}, clock.nowMs())))[0];
    },
  });
}
