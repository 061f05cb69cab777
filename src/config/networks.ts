/** From a network's lines in the file, or from PAY_TO_* and friends, to its settings. */
import bs58 from 'bs58';
import { getAddress, isAddress } from 'viem/utils';
import { KNOWN_NETWORKS, SOLANA_DEVNET, SOLANA_MAINNET } from '../chains/networks.ts';
import type { FacilitatorConfig, Family, Mode, NetworkConfig } from './config.ts';
import type { Faults } from './faults.ts';
import type { Environment, FileNetwork } from './file.ts';
import { checkUrl } from './urls.ts';

const BASE = 'eip155:8453';
/** Nobody's: where play money goes when no address is given. */
const PLAY_PAY_TO: Record<Family, string> = {
  eip155: '0xfa2eb0c5000000000000000000000000000000fb',
  solana: 'FareBoxP1ayMoney1111111111111111111111111111',
};

export function networkConfigs(
  file: FileNetwork[] | undefined,
  environment: Environment,
  mode: Mode,
  faults: Faults,
): NetworkConfig[] {
  if (mode === 'sandbox') return sandboxNetworks(file, faults);
  const entries = file ?? networksFromEnvironment(environment, faults);
  const seen = new Set<string>();
  return entries.flatMap((entry, index) => {
    const path = file ? `payments.networks[${index}]` : entry.network;
    if (seen.has(entry.network)) faults.add(path, 'this network is there twice');
    seen.add(entry.network);
    const config = networkConfig(entry, path, faults);
    return config ? [config] : [];
  });
}

function networkConfig(entry: FileNetwork, path: string, faults: Faults): NetworkConfig | null {
  const known = KNOWN_NETWORKS.get(entry.network);
  if (!known) {
    const names = [...KNOWN_NETWORKS.values()].filter(({ isTest }) => !isTest);
    faults.add(
      `${path}.network`,
      `its USDC is not known here; known: ${names.map(({ network }) => network).join(', ')}`,
    );
    return null;
  }
  if (known.isTest) {
    faults.add(`${path}.network`, `${known.title} is a test network: play money is for SANDBOX=1`);
    return null;
  }
  if (entry.rpc_url !== undefined) checkUrl(entry.rpc_url, `${path}.rpc_url`, faults);
  return {
    network: known.network,
    family: known.family,
    v1Name: known.v1Name,
    asset: known.asset,
    domain: known.domain,
    payTo: payToOf(known.family, entry.pay_to, `${path}.pay_to`, faults),
    facilitator: facilitatorOf(entry, known.family, path, faults),
    rpcUrl: entry.rpc_url ?? known.defaultRpcUrl,
    confirmations: entry.confirmations ?? 1,
  };
}

function payToOf(family: Family, text: string, path: string, faults: Faults): string {
  if (family === 'solana') {
    if (decodedLength(text) !== 32)
      faults.add(path, 'must be a Solana address (32 bytes in base58)');
    else if (/^1+$/.test(text)) faults.add(path, 'is the System Program, not a wallet');
    return text;
  }
  const isOneCase = text === text.toLowerCase() || text.slice(2) === text.slice(2).toUpperCase();
  if (!isAddress(text, { strict: false })) faults.add(path, 'must be 0x and 40 hex digits');
  else if (!isOneCase && getAddress(text) !== text) {
    faults.add(path, 'its checksum is wrong: a digit was mistyped');
  } else if (/^0x0{40}$/.test(text)) faults.add(path, 'is the zero address, not a wallet');
  return text.toLowerCase();
}

function decodedLength(text: string): number {
  return /^[1-9A-HJ-NP-Za-km-z]{1,100}$/.test(text) ? bs58.decode(text).length : -1;
}

function facilitatorOf(
  entry: FileNetwork,
  family: Family,
  path: string,
  faults: Faults,
): FacilitatorConfig {
  const said = entry.facilitator;
  if (said === 'embedded') {
    checkGasKey(entry.gas_key ?? '', family, `${path}.gas_key`, faults);
    return { kind: 'embedded', gasKey: entry.gas_key ?? '' };
  }
  if (entry.gas_key !== undefined) {
    faults.add(`${path}.gas_key`, 'is for facilitator: embedded only');
  }
  const {
    url,
    cdp_key_id: keyId,
    cdp_key_secret: keySecret,
  } = typeof said === 'string' ? { url: said } : said;
  checkUrl(url, `${path}.facilitator`, faults);
  if ((keyId === undefined) !== (keySecret === undefined)) {
    faults.add(`${path}.facilitator`, 'cdp_key_id and cdp_key_secret go together');
  }
  return { kind: 'remote', url, cdp: keyId && keySecret ? { keyId, keySecret } : null };
}

function checkGasKey(key: string, family: Family, path: string, faults: Faults): void {
  if (key === '') faults.add(path, 'is missing: embedded settlement pays for gas with it');
  else if (family === 'eip155' && !/^0x[0-9a-fA-F]{64}$/.test(key)) {
    faults.add(path, 'must be 0x and 64 hex digits');
  } else if (family === 'solana' && decodedLength(key) !== 64) {
    faults.add(path, 'must be a Solana secret key (64 bytes in base58)');
  }
}

/** PAY_TO_EVM (Base) and PAY_TO_SOLANA, with a way to settle. */
function networksFromEnvironment(environment: Environment, faults: Faults): FileNetwork[] {
  const networks: FileNetwork[] = [];
  for (const [family, network] of [
    ['EVM', BASE],
    ['SOLANA', SOLANA_MAINNET],
  ] as const) {
    const payTo = environment[`PAY_TO_${family}`];
    if (!payTo) continue;
    const gasKey = environment[`GAS_KEY_${family}`];
    const facilitator = facilitatorFromEnvironment(environment, gasKey);
    if (!facilitator) {
      faults.add(
        `PAY_TO_${family}`,
        `nothing can settle payments to it: set GAS_KEY_${family}, FACILITATOR_URL, or CDP_API_KEY_ID and CDP_API_KEY_SECRET`,
      );
      continue;
    }
    const rpcUrl =
      environment[`RPC_URL_${family}`] ??
      (family === 'EVM' ? environment['RPC_URL_BASE'] : undefined);
    networks.push({
      network,
      pay_to: payTo,
      facilitator,
      ...(facilitator === 'embedded' && gasKey ? { gas_key: gasKey } : {}),
      ...(rpcUrl ? { rpc_url: rpcUrl } : {}),
    });
  }
  return networks;
}

const CDP_URL = 'https://api.cdp.coinbase.com/platform/v2/x402';

function facilitatorFromEnvironment(
  environment: Environment,
  gasKey: string | undefined,
): FileNetwork['facilitator'] | null {
  if (gasKey) return 'embedded';
  const keyId = environment['CDP_API_KEY_ID'];
  const keySecret = environment['CDP_API_KEY_SECRET'];
  const url = environment['FACILITATOR_URL'];
  if (keyId && keySecret) {
    return { url: url ?? CDP_URL, cdp_key_id: keyId, cdp_key_secret: keySecret };
  }
  return url ?? null;
}

/** Test networks over the play chain, whatever the file says about real ones. */
function sandboxNetworks(file: FileNetwork[] | undefined, faults: Faults): NetworkConfig[] {
  for (const [index, { network }] of (file ?? []).entries()) {
    if (KNOWN_NETWORKS.get(network)?.isTest !== true) {
      faults.add(`payments.networks[${index}].network`, 'SANDBOX=1 takes test networks only');
    }
  }
  return ['eip155:84532', SOLANA_DEVNET].map((id) => {
    const known = KNOWN_NETWORKS.get(id)!;
    const given = file?.find(({ network }) => network === id);
    const payTo = given
      ? payToOf(known.family, given.pay_to, `payments.networks ${id}.pay_to`, faults)
      : PLAY_PAY_TO[known.family];
    return {
      network: id,
      family: known.family,
      v1Name: known.v1Name,
      asset: known.asset,
      domain: known.domain,
      payTo,
      facilitator: { kind: 'sandbox' },
      rpcUrl: null,
      confirmations: 1,
    };
  });
}
