/** What answers requests under some settings, over the parts that outlive them. A reload makes it anew. */
import { audioPaths } from '../audio/paths.ts';
import { createSiwx } from '../auth/siwx.ts';
import { contractWalletVerifier } from '../chains/contract-wallet.ts';
import { createChats } from '../chat/chats.ts';
import type { Config } from '../config/config.ts';
import { clientIp } from '../http/client-ip.ts';
import { createFront, type Front } from '../http/front.ts';
import type { Gate } from './gate.ts';
import { nonces, type Parts, type Tools } from './parts.ts';
import type { Site } from './site.ts';

export interface FrontTools extends Pick<Tools, 'clock' | 'log'> {
  site: Site;
  gate: Gate;
}

/** `config` never changes: requests read it from their beginning to their end. */
export function frontOf(config: Config, parts: Parts, tools: FrontTools): Front {
  const { clock, log, site, gate } = tools;
  const { origins } = gate;
  const { limits, server, mode, creditUsd } = config;
  const { store, ways, catalogue, quotes, byok } = parts;
  const { routing, upstream, drift } = ways;
  const money = { ledger: store.ledger, catalogue, quotes, creditUsd };
  const path = { ...money, byok, routing, upstream, drift, limits, clock, log };
  const networks = config.payments.networks.map(({ network }) => network);
  return createFront({
    ...parts,
    clock,
    log,
    origins,
    port: () => gate.operatorPort,
    closedBecause: () => gate.closedBecause,
    ...site,
    payments: parts.payments.under(config.payments),
    chats: createChats(path),
    audio: audioPaths(path),
    siwx: createSiwx({
      siwx: config.siwx,
      origins: origins.list,
      networks,
      useNonce: nonces(store),
      verifyContractWallet: contractWalletVerifier(config.payments.networks),
      clock,
    }),
    limits,
    server,
    mode,
    creditUsd,
    clientIp: clientIp(server.trustedProxies),
    config: config.payments,
    trustedProxies: server.trustedProxies,
  });
}
