/** Families about channels: their labels are the ids of the settings. */
import type { ChannelConfig } from '../config/config.ts';
import type { ChannelSwitches } from '../operator/channels.ts';
import type { CostDrift } from '../routing/drift.ts';
import type { Routing } from '../routing/routing.ts';
import type { ChannelTraffic, Traffic } from '../routing/traffic.ts';
import type { Upstream } from '../upstream.ts';
import type { Metrics, Sample } from './metrics.ts';

const SECONDS_PER_MS = 0.001;

export interface ChannelOptions {
  routing: Pick<Routing, 'channels' | 'health'>;
  traffic: Traffic;
  upstream: Pick<Upstream, 'load'>;
  drift: CostDrift;
  switches: Pick<ChannelSwitches, 'isOff'>;
}

export function addChannels(metrics: Metrics, options: ChannelOptions): void {
  const { routing, traffic } = options;
  const each = (samples: (channel: ChannelConfig, traffic: ChannelTraffic) => Sample[]) => () =>
    routing.channels().flatMap((channel) =>
      samples(channel, traffic.of(channel.id)).map(({ labels, value }) => ({
        labels: { channel: channel.id, ...labels },
        value,
      })),
    );
  metrics.add({
    name: 'farebox_channel_attempts_total',
    help: 'Attempts by how they ended; unknown: the caller left, or its request was at fault.',
    kind: 'counter',
    labels: ['channel', 'outcome'],
    collect: each((_channel, { ended }) =>
      Object.entries(ended).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ),
  });
  for (const [field, name, help] of [
    ['firstByte', 'farebox_channel_first_byte_seconds', 'Until an answer began.'],
    ['whole', 'farebox_channel_answer_seconds', 'Of good answers, until their end.'],
  ] as const) {
    metrics.addTally({
      name,
      help,
      labels: ['channel'],
      scale: SECONDS_PER_MS,
      collect: () =>
        routing
          .channels()
          .map(({ id }) => ({ labels: { channel: id }, tally: traffic.of(id)[field] })),
    });
  }
  addStates(metrics, options, each);
}

function addStates(
  metrics: Metrics,
  { routing, upstream, drift, switches }: ChannelOptions,
  each: (samples: (channel: ChannelConfig) => Sample[]) => () => Sample[],
): void {
  const add = (
    name: string,
    help: string,
    samples: (channel: ChannelConfig) => Sample[],
    labels: string[] = [],
  ) =>
    metrics.add({
      name,
      help,
      kind: 'gauge',
      labels: ['channel', ...labels],
      collect: each(samples),
    });
  add('farebox_channel_running', 'Requests under way.', (channel) => [
    { value: upstream.load(channel).running },
  ]);
  add('farebox_channel_waiting', 'Requests that wait for a connection.', (channel) => [
    { value: upstream.load(channel).waiting },
  ]);
  add('farebox_channel_on', '0 where an operator turned it off.', ({ id }) => [
    { value: switches.isOff(id) ? 0 : 1 },
  ]);
  add(
    'farebox_channel_breakers',
    'Models that it is not, or only tentatively, asked for.',
    ({ id }) => {
      const states = routing.health().filter(({ channel }) => channel === id);
      return (['open', 'half-open'] as const).map((state) => ({
        labels: { state },
        value: states.filter((breaker) => breaker.state === state).length,
      }));
    },
    ['state'],
  );
  add(
    'farebox_channel_cost_drift_ratio',
    'Of the model that is off the most: what the upstream says that it costs, over what the settings say, less one.',
    ({ id }) => [{ value: drift.worst().get(id) ?? 0 }],
  );
}
