/** The settings as `config check` prints them: whole, but for the secrets. */
import { KNOWN_NETWORKS } from '../chains/networks.ts';
import { formatUsd, type NanoUsd } from '../money.ts';
import type {
  ChannelConfig,
  Config,
  FacilitatorConfig,
  NetworkConfig,
  S3Config,
} from './config.ts';

const SET = '[set]';
const PLAIN_PART = /^[A-Za-z0-9._-]{0,15}$/;

/** Plain JSON. Amounts are decimal dollars; a secret is '[set]', or null when there is none. */
export function describeConfig(config: Config): Record<string, unknown> {
  const { secrets, payments, channels, creditUsd, byok, media, backups, ...plain } = config;
  const { networks, ...amounts } = payments;
  return {
    ...plain,
    secrets: {
      masterKey: masked(secrets.masterKey),
      newMasterKey: masked(secrets.newMasterKey),
      adminKey: masked(secrets.adminKey),
    },
    payments: {
      ...Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, usd(amount)])),
      networks: networks.map(describeNetwork),
    },
    channels: channels.map(describeChannel),
    creditUsd: usd(creditUsd),
    media: { ...media, s3: describeBucket(media.s3) },
    backups: {
      ...backups,
      passphrase: masked(backups.passphrase),
      s3: describeBucket(backups.s3),
    },
    byok: { feePercent: byok.percent, feeUsdPerRequest: usd(byok.perRequest) },
  };
}

function usd(amount: NanoUsd): string {
  return formatUsd(amount);
}

function masked(secret: unknown): string | null {
  return secret === null || secret === undefined ? null : SET;
}

function describeBucket(s3: S3Config | null): Record<string, unknown> | null {
  return s3 && { ...s3, accessKey: SET, secretKey: SET };
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
      return {
        kind: 'embedded',
        gasKey: masked(facilitator.gasKey),
        treasuryKey: masked(facilitator.treasuryKey),
      };
    case 'remote': {
      const cdp = facilitator.cdp === null ? null : { keyId: SET, keySecret: SET };
      return { kind: 'remote', url: shownUrl(facilitator.url), cdp };
    }
    case 'sandbox':
      return { kind: 'sandbox' };
  }
}

function describeChannel(channel: ChannelConfig): Record<string, unknown> {
  const names = (fields: object) =>
    Object.fromEntries(Object.keys(fields).map((name) => [name, SET]));
  return {
    ...channel,
    baseUrl: shownUrl(channel.baseUrl),
    apiKey: masked(channel.apiKey),
    headers: names(channel.headers),
    params: { ...channel.params, set: names(channel.params.set) },
  };
}

/** RPC providers put their key into the path or the query: only the origin is shown. */
function maskedUrl(url: string | null): string | null {
  if (url === null) return null;
  if (!URL.canParse(url)) return SET;
  const { origin, pathname, search } = new URL(url);
  return pathname === '/' && search === '' ? origin : `${origin}/${SET}`;
}

/** Other addresses are shown with their path, but for parts of it that look like keys. */
function shownUrl(url: string): string {
  if (!URL.canParse(url)) return SET;
  const { origin, pathname } = new URL(url);
  const parts = pathname.split('/').map((part) => (PLAIN_PART.test(part) ? part : SET));
  return `${origin}${parts.join('/').replace(/\/$/, '')}`;
}
