/** The parts that lead to upstreams: which channel serves, how it is reached, what is known of it. */
import type { Clock } from '../clock.ts';
import type { ChannelConfig, LimitsConfig } from '../config/config.ts';
import type { Store } from '../ledger/store.ts';
import type { Log } from '../log.ts';
import { ChannelSwitches } from '../operator/channels.ts';
import { CostDrift } from '../routing/drift.ts';
import { Routing } from '../routing/routing.ts';
import { Traffic } from '../routing/traffic.ts';
import { Upstream } from '../upstream.ts';
import { AttemptKeeper, ChannelUsage } from '../usage/channels.ts';

export interface WaysOptions {
  store: Store;
  channels: ChannelConfig[];
  limits: LimitsConfig;
  clock: Clock;
  log: Log;
}

export async function createWays({ store, channels, limits, clock, log }: WaysOptions) {
  const { ledger } = store;
  const switches = new ChannelSwitches(ledger);
  await switches.load();
  const traffic = new Traffic();
  const upstream = new Upstream(limits, traffic);
  const routing = new Routing(channels, {
    clock,
    isOff: (id) => switches.isOff(id),
    isBusy: (channel) => upstream.isBusy(channel),
    traffic,
    stickyMs: limits.stickyMs,
  });
  const drift = new CostDrift({ clock, log });
  const keeper = new AttemptKeeper({ ledger, traffic, clock, log });
  const channelUsage = new ChannelUsage(store.reports, keeper, clock);
  keeper.start();
  const stop = async () => {
    await keeper.stop();
    await upstream.close();
  };
  const replace = (next: ChannelConfig[], { stickyMs }: LimitsConfig) => {
    routing.replace(next);
    routing.sticky.replace(stickyMs);
    upstream.retain(routing.channels());
    drift.clear();
  };
  const forOperator = { switches, routing, traffic, drift, channelUsage };
  return { ...forOperator, upstream, forOperator, replace, stop };
}
