/** Which channels can serve a model, best first. */
import type { ChannelConfig, ModelConfig } from './config/config.ts';
import { AppError } from './errors.ts';

export interface Route {
  channel: ChannelConfig;
  /** The model's name at the upstream. */
  upstreamModel: string;
}

const RETRY_AFTER_SECONDS = 5;

export class Routing {
  #channels: Map<string, ChannelConfig>;

  constructor(channels: ChannelConfig[]) {
    this.#channels = byId(channels);
  }

  replace(channels: ChannelConfig[]): void {
    this.#channels = byId(channels);
  }

  /**
   * A snapshot, never empty: channels of these groups, group by group, each in the order of the model's routes. AppError no_channel
   * where none exists.
   */
  candidates(model: ModelConfig, groups: readonly string[]): [Route, ...Route[]] {
    const routes: Route[] = [];
    for (const group of groups) {
      for (const route of model.routes) {
        const channel = this.#channels.get(route.channel);
        if (channel?.group === group) routes.push({ channel, upstreamModel: route.model });
      }
    }
    const [first, ...others] = routes;
    if (first) return [first, ...others];
    throw new AppError('no_channel', `No channel serves the model ${model.id} at the moment.`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}

function byId(channels: ChannelConfig[]): Map<string, ChannelConfig> {
  return new Map(channels.map((channel) => [channel.id, channel]));
}
