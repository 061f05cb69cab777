import { formatUsd, type NanoUsd } from '../money.ts';
import type { Config } from './config.ts';

/** What `config check` prints: every setting, no secret. */
export function describeConfig(config: Config): Record<string, unknown> {
  const { payments } = config;
  const usd = (amount: NanoUsd) => formatUsd(amount);
  return {
    mode: config.mode,
    server: config.server,
    data_dir: config.dataDir,
    log_level: config.logLevel,
    master_key: config.secrets.masterKey ? '[set]' : 'kept in the data directory',
    admin_key: config.secrets.adminKey ? '[set]' : null,
    payments: {
      minimum_top_up_usd: usd(payments.minimumTopUp),
      inline_minimum_usd: usd(payments.inlineMinimum),
      suggested_top_up_usd: usd(payments.suggestedTopUp),
      maximum_top_up_usd: usd(payments.maximumTopUp),
      minimum_balance_usd: usd(payments.minimumBalance),
      networks: payments.networks.map(({ network, payTo, facilitator, rpcUrl, confirmations }) => ({
        network,
        pay_to: payTo,
        facilitator:
          facilitator.kind === 'remote' ? new URL(facilitator.url).host : facilitator.kind,
        // Endpoints often carry a key in their path.
        rpc: rpcUrl === null ? null : new URL(rpcUrl).host,
        confirmations,
      })),
    },
    channels: config.channels.map(({ id, provider, baseUrl, apiKey }) => ({
      id,
      provider,
      base_url: new URL(baseUrl).origin,
      api_key: apiKey === null ? null : '[set]',
    })),
    models: config.models.map(({ id, routes, price }) => ({
      id,
      channels: routes.map(({ channel }) => channel),
      price_version: price.version,
    })),
    siwx: config.siwx,
    limits: config.limits,
  };
}
