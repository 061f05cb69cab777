/** From a network's settings to its rail. A family's libraries are loaded only when a network of it is configured. */
import type { NetworkConfig } from '../config/config.ts';
import type { Rail } from './chain.ts';
import type { RailOptions } from './rail-options.ts';

export type { RailOptions } from './rail-options.ts';

/** Throws AppError('not_configured') when the settings cannot work; that a chain does not answer is for refresh() to say. */
export async function createRail(network: NetworkConfig, options: RailOptions): Promise<Rail> {
  if (network.facilitator.kind === 'sandbox') {
    const { createSandboxRail } = await import('./sandbox.ts');
    return createSandboxRail(network, options);
  }
  switch (network.family) {
    case 'eip155': {
      const { createEvmRail } = await import('./evm.ts');
      return createEvmRail(network, options);
    }
    case 'solana': {
      const { createSolanaRail } = await import('./solana.ts');
      return createSolanaRail(network, options);
    }
  }
}
