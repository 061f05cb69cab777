/** The Solana rail: SPL USDC by the x402 `exact` scheme, settled by ourselves or by a remote facilitator. */
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Rail } from './chain.ts';
import { Facilitator } from './facilitator.ts';
import type { RailOptions } from './rail-options.ts';
import { EmbeddedSolanaRail } from './solana-embedded.ts';
import { RemoteSolanaRail } from './solana-remote.ts';

/** Reads configuration only; refresh() asks the chain. Throws AppError('not_configured') for what can never work. */
export function createSolanaRail(config: NetworkConfig, options: RailOptions): Rail {
  const { facilitator } = config;
  switch (facilitator.kind) {
    case 'embedded':
      if (config.rpcUrl === null) {
        throw new AppError('not_configured', `${config.network}: settling ourselves needs rpc_url`);
      }
      return new EmbeddedSolanaRail(config, config.rpcUrl, facilitator, options);
    case 'remote': {
      const { clock, log, settleTimeoutMs } = options;
      const client = new Facilitator({
        config: facilitator,
        v1Name: config.v1Name,
        log,
        clock,
        ...(options.fetch ? { fetch: options.fetch } : {}),
        ...(settleTimeoutMs === undefined ? {} : { settleTimeoutMs }),
      });
      return new RemoteSolanaRail(config, client, options);
    }
    case 'sandbox':
      throw new AppError('not_configured', `${config.network}: the play chain is not Solana`);
  }
}
