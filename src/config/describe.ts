/** The settings as `config check` prints them: whole, but for the secrets. */
import { KNOWN_NETWORKS } from '../chains/networks.ts';
import { formatUsd, type NanoUsd } from '../money.ts';
import type { ChannelConfig, Config, FacilitatorConfig, NetworkConfig } from './config.ts';

const SET = '[set]';

/** Plain JSON. Amounts are decimal dollars; a secret is '[set]', or null when there is none. */
export function describeConfig(config: Config): Record<string, unknown> {
  const { secrets, payments, channels, creditUsd, ...plain } = config;
  const { networks, ...amounts } = payments;
  return {
    ...plain,
    secrets: { masterKey: masked(secrets.masterKey), adminKey: masked(secrets.adminKey) },
    payments: {
      ...Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, usd(amount)])),
      networks: networks.map(describeNetwork),
    },
    channels: channels.map(describeChannel),
    creditUsd: usd(creditUsd),
  };
}

function usd(amount: NanoUsd): string {
  return formatUsd(amount);
}

function masked(secret: unknown): string | null {
  return secret === null || secret === undefined ? null : SET;
}

function describeNetwork(network: NetworkConfig): Record<string, unknown> {
  const { facilitator, rpcUrl, ...plain } = network;
  const isPublic = rpcUrl === KNOWN_NETWORKS.get(network.network)?.defaultRpcUrl;
  return {
    ...plain,
    facilitator: describeFacilitator(facilitator),
    rpcUrl: isPublic ? rpcUrl : maskedUrl(rpcUrl),
  };
}

function describeFacilitator(facilitator: FacilitatorConfig): Record<string, unknown> {
  switch (facilitator.kind) {
    case 'embedded':
      return { kind: 'embedded', gasKey: masked(facilitator.gasKey) };
    case 'remote': {
      const cdp = facilitator.cdp === null ? null : { keyId: SET, keySecret: SET };
      return { kind: 'remote', url: maskedUrl(facilitator.url), cdp };
    }
    case 'sandbox':
      return { kind: 'sandbox' };
  }
}

function describeChannel(channel: ChannelConfig): Record<string, unknown> {
  const headers = Object.fromEntries(Object.keys(channel.headers).map((name) => [name, SET]));
  return { ...channel, apiKey: masked(channel.apiKey), headers };
}

/** Many providers put the key into the path or the query: only the origin is shown. */
function maskedUrl(url: string | null): string | null {
  if (url === null || !URL.canParse(url)) return url === null ? null : SET;
  const { origin, pathname, search, username } = new URL(url);
  const isBare = pathname === '/' && search === '' && username === '';
  return isBare ? origin : `${origin}/${SET}`;
}
