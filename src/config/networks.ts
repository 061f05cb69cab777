/** `payments.networks`: built-in USDC deployments only; live and test networks never mix. */
import { cdpSigner } from '../chains/facilitator-cdp.ts';
import { KNOWN_NETWORKS, type KnownNetwork, networkOf } from '../chains/networks.ts';
import { gasKeyProblem, payToProblem } from './addresses.ts';
import type { FacilitatorConfig, Mode, NetworkConfig } from './config.ts';
import type { Environment } from './environment.ts';
import type { Faults, Path } from './fault.ts';
import type { RawFacilitator, RawNetwork } from './raw.ts';
import { SANDBOX_NETWORKS } from './sandbox.ts';
import { isLoopbackUrl, urlProblem } from './urls.ts';
import { rpcUrlFrom } from './zero.ts';

export function readNetworks(
  raw: readonly (RawNetwork | undefined)[],
  mode: Mode,
  environment: Environment,
  faults: Faults,
): NetworkConfig[] {
  const seen = new Set<string>();
  return raw.flatMap((network, n) => {
    if (network === undefined) return [];
    const path = ['payments', 'networks', n];
    const id = network.network;
    if (id !== undefined && seen.has(id)) {
      faults.add([...path, 'network'], 'must not be listed twice');
      return [];
    }
    if (id !== undefined) seen.add(id);
    return readNetwork(network, path, { mode, environment, faults });
  });
}

interface Context {
  mode: Mode;
  environment: Environment;
  faults: Faults;
}

function readNetwork(raw: RawNetwork, path: Path, context: Context): NetworkConfig[] {
  const { mode, faults } = context;
  // Named as x402 v1 names it ("base"), a network is refused, but the rest is checked all the same.
  const known = KNOWN_NETWORKS.get(networkOf(raw.network ?? '') ?? '');
  if (raw.network !== undefined && raw.network !== known?.network) {
    faults.add([...path, 'network'], unknownNetwork(known, mode));
  } else if (known !== undefined) {
    const problem = modeProblem(known, mode);
    if (problem !== null) faults.add([...path, 'network'], problem);
  }
  if (known !== undefined) checkAddresses(raw, known, path, faults);
  const rpcUrl = mode === 'sandbox' ? null : readRpcUrl(raw, known, path, context);
  const facilitator: FacilitatorConfig | null =
    mode === 'sandbox' ? { kind: 'sandbox' } : readFacilitator(raw, known, path, rpcUrl, faults);
  if (known === undefined || facilitator === null) return [];
  const { network, family, v1Name, asset, domain } = known;
  const { pay_to: payTo = '', confirmations } = raw;
  return [{ network, family, v1Name, payTo, asset, domain, facilitator, rpcUrl, confirmations }];
}

function checkAddresses(raw: RawNetwork, known: KnownNetwork, path: Path, faults: Faults): void {
  if (raw.asset !== undefined && !isAsset(known, raw.asset)) {
    faults.add(
      [...path, 'asset'],
      `must be the USDC of ${known.title}, or left out: nothing else is taken`,
    );
  }
  if (raw.pay_to === undefined) return;
  const problem = payToProblem(known.family, raw.pay_to, known.asset);
  if (problem !== null) faults.add([...path, 'pay_to'], problem);
}

function unknownNetwork(meant: KnownNetwork | undefined, mode: Mode): string {
  if (meant !== undefined) return `must be a CAIP-2 id; write ${meant.network}`;
  const offered = [...KNOWN_NETWORKS.values()].filter((known) => modeProblem(known, mode) === null);
  const ids = offered.map((known) => known.network).join(', ');
  return `must be a network whose USDC is built in: ${ids}`;
}

function modeProblem(known: KnownNetwork, mode: Mode): string | null {
  if (mode === 'live') {
    return known.isTest
      ? 'must be a main network: a live server takes no test money (SANDBOX=1 does)'
      : null;
  }
  if (!known.isTest) return 'must be a test network: the sandbox takes no real money';
  return SANDBOX_NETWORKS.includes(known.network)
    ? null
    : `must be one of ${SANDBOX_NETWORKS.join(', ')} in the sandbox`;
}

function isAsset(known: KnownNetwork, asset: string): boolean {
  return known.family === 'eip155' ? asset.toLowerCase() === known.asset : asset === known.asset;
}

/** The file's, else the environment's, else the public one. Null only where the file says so. */
function readRpcUrl(
  raw: RawNetwork,
  known: KnownNetwork | undefined,
  path: Path,
  { environment, faults }: Context,
): string | null {
  if (raw.rpc_url === null) return null;
  const isFound = raw.rpc_url === undefined && known !== undefined;
  const found = isFound ? rpcUrlFrom(environment, known.network) : null;
  const url = raw.rpc_url ?? found?.url ?? known?.defaultRpcUrl;
  if (url === undefined) return null;
  const problem = urlProblem(url, { mayHaveQuery: true });
  if (problem !== null) faults.add(found?.variable ?? [...path, 'rpc_url'], problem);
  return url;
}

function readFacilitator(
  raw: RawNetwork,
  known: KnownNetwork | undefined,
  path: Path,
  rpcUrl: string | null,
  faults: Faults,
): FacilitatorConfig | null {
  const at = [...path, 'gas_key'];
  if (raw.facilitator !== 'embedded') {
    for (const name of ['gas_key', 'treasury_key'] as const) {
      if (raw[name] === undefined) continue;
      faults.add([...path, name], 'must go with facilitator: embedded');
    }
    return readRemote(raw.facilitator, path, faults);
  }
  if (raw.rpc_url === null) {
    faults.add([...path, 'rpc_url'], 'must be an https URL: settling ourselves needs one');
  }
  if (raw.gas_key === undefined) {
    faults.add(at, 'is missing; facilitator: embedded needs a key that pays for gas');
    return null;
  }
  const gasKey = raw.gas_key.trim();
  const isLocal = rpcUrl !== null && isLoopbackUrl(rpcUrl);
  const problem = known === undefined ? null : gasKeyProblem(known.family, gasKey, isLocal);
  if (problem !== null) faults.add(at, problem);
  if (raw.treasury_key === undefined) return { kind: 'embedded', gasKey };
  const treasuryKey = raw.treasury_key.trim();
  const wrong = treasuryProblem(known, treasuryKey, gasKey, isLocal);
  if (wrong !== null) faults.add([...path, 'treasury_key'], wrong);
  return { kind: 'embedded', gasKey, treasuryKey };
}

function treasuryProblem(
  known: KnownNetwork | undefined,
  key: string,
  gasKey: string,
  isLocal: boolean,
): string | null {
  const bare = (text: string) => text.replace(/^0x/, '').toLowerCase();
  if (bare(key) === bare(gasKey)) return 'must be another key than gas_key, which holds no USDC';
  return known === undefined ? null : gasKeyProblem(known.family, key, isLocal);
}

function readRemote(
  raw: string | RawFacilitator,
  path: Path,
  faults: Faults,
): FacilitatorConfig | null {
  const at = [...path, 'facilitator'];
  const {
    url,
    cdp_key_id: keyId,
    cdp_key_secret: keySecret,
  } = typeof raw === 'string' ? { url: raw } : raw;
  const problem = url === undefined ? null : urlProblem(url);
  if (problem !== null) {
    const right =
      typeof raw === 'string' ? problem.replace('must be', 'must be embedded or') : problem;
    faults.add(typeof raw === 'string' ? at : [...at, 'url'], right);
  }
  if (keyId !== undefined && keySecret === undefined) {
    faults.add([...at, 'cdp_key_secret'], 'is missing; it goes with the key id');
  }
  if (keySecret !== undefined && keyId === undefined) {
    faults.add([...at, 'cdp_key_id'], 'is missing; it goes with the key secret');
  }
  if (keyId !== undefined && keySecret !== undefined && !isCdpSecret(keyId, keySecret)) {
    faults.add(
      [...at, 'cdp_key_secret'],
      'must be base64 of 64 bytes (Ed25519), or the PEM of a P-256 key',
    );
  }
  if (url === undefined) return null;
  const cdp = keyId !== undefined && keySecret !== undefined ? { keyId, keySecret } : null;
  return { kind: 'remote', url: url.replace(/\/+$/, ''), cdp };
}

function isCdpSecret(keyId: string, keySecret: string): boolean {
  try {
    cdpSigner({ keyId, keySecret });
    return true;
  } catch {
    return false;
  }
}
