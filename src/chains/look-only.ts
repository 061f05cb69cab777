/**
 * The rail of a network that is not set up any more, as far as it is still of use: it finds out what became of what was begun there. It
 * signs nothing, hands nothing on, and knows no key and no facilitator.
 */
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Rail } from './chain.ts';
import { createRail } from './index.ts';
import { KNOWN_NETWORKS } from './networks.ts';
import type { RailOptions } from './rail-options.ts';

/** Nobody answers there, and nobody is asked. */
const NOBODY = { kind: 'remote', url: 'https://facilitator.invalid', cdp: null } as const;

/** What looking takes of a network's settings: no key of ours. Null where there is no chain to look at. */
export function lookSettings(config: NetworkConfig): NetworkConfig | null {
  const { facilitator, network } = config;
  if (facilitator.kind === 'sandbox') return config;
  const isOwn = facilitator.kind === 'embedded';
  const usual = isOwn ? (KNOWN_NETWORKS.get(network)?.defaultRpcUrl ?? null) : null;
  const rpcUrl = config.rpcUrl ?? usual;
  return rpcUrl === null ? null : { ...config, rpcUrl, facilitator: NOBODY };
}

/** `settings`: see lookSettings. Throws AppError('not_configured') where they cannot work. */
export async function createLookOnlyRail(
  settings: NetworkConfig,
  options: RailOptions,
): Promise<Rail> {
  const rail = await createRail(settings, options);
  const { network, family, v1Name, asset, payTo, canLookUp } = rail;
  return {
    network,
    family,
    v1Name,
    asset,
    payTo,
    canLookUp,
    treasury: null,
    refresh: () => rail.refresh(),
    status: () => ({ canSettle: false, problem: 'it is not set up any more' }),
    requirements: (amount) => rail.requirements(amount),
    decode: (payload, nowMs) => rail.decode(payload, nowMs),
    settle: () =>
      Promise.resolve({ state: 'unknown', reason: 'network_not_configured', transaction: null }),
    lookup: (submission) => rail.lookup(submission),
    signPayout: () =>
      Promise.reject(new AppError('not_configured', `${network} is not set up any more.`)),
    findTransfer: (query) => rail.findTransfer(query),
    funds: () => rail.funds(),
    close: () => rail.close(),
  };
}
