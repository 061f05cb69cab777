import type { Clock } from '../clock.ts';
import type { Mode } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { GasLine } from './evm-gas.ts';
import type { SandboxBook } from './sandbox-book.ts';

/** What every rail is built with besides its network's settings. */
export interface RailOptions {
  clock: Clock;
  log: Log;
  dataDir: string;
  mode: Mode;
  /** Replaces the global fetch (tests). */
  fetch?: typeof fetch;
  /** Shared by rails that follow one another when settings are exchanged; a rail without it shares nothing. */
  memory?: RailMemory;
  /** Longest a settlement waits for the chain or the facilitator before it is unknown: 90 s on chain, 100 s remote. */
  settleTimeoutMs?: number;
}

/** What two rails of a network must not both have their own of. */
export interface RailMemory {
  /** By network and address: two that sign for one gas key at once would take the same nonce. */
  gasLines: Map<string, GasLine>;
  /** Of the play chain, by path. */
  books: Map<string, Promise<SandboxBook>>;
}

export function newRailMemory(): RailMemory {
  return { gasLines: new Map(), books: new Map() };
}
