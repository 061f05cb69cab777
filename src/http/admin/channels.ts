/** /admin/api/channels: which there are, how they are, on and off. Addresses and keys of upstreams are not shown. */
import { z } from 'zod';
import type { ChannelConfig } from '../../config/config.ts';
import type { ChannelSwitchRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import { operation } from '../operation.ts';
import { iso, reason } from './fields.ts';
import type { AdminOptions } from './options.ts';

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
});

async function shown(channels: ChannelConfig[], { operator }: AdminOptions) {
  const switches = await operator.switches.all();
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
  }));
}

function lastSwitch(row: ChannelSwitchRow | undefined) {
  return row ? { at: iso(row.at), actor: row.actor, reason: row.reason } : null;
}

export function listChannels(options: AdminOptions) {
  return operation({
    summary: 'Channels and how they are',
    right: 'admin',
    answer: z.strictObject({ object: z.literal('list'), data: z.array(channelView) }),
    run: async () => ({
      object: 'list',
      data: await shown(options.operator.routing.channels(), options),
    }),
  });
}

const switchBody = z.strictObject({ isOn: z.boolean('must be true or false'), reason });

export function switchChannel(options: AdminOptions) {
  const { switches, routing } = options.operator;
  return operation<z.infer<typeof switchBody>>({
    summary: 'Turn a channel on or off, from the next request on',
    right: 'admin',
    body: switchBody,
    answer: channelView,
    run: async ({ principal, params, body }) => {
      const channel = routing.channels().find(({ id }) => id === params['id']);
      if (!channel) throw new AppError('not_found', 'There is no such channel.');
      await switches.set(principal, channel.id, body);
      return (await shown([channel], options))[0];
    },
  });
}
