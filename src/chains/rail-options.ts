import type { Clock } from '../clock.ts';
import type { Mode } from '../config/config.ts';
import type { Log } from '../log.ts';

/** What every rail is built with besides its network's settings. */
export interface RailOptions {
  clock: Clock;
  log: Log;
  dataDir: string;
  mode: Mode;
  /** Replaces the global fetch (tests). */
  fetch?: typeof fetch;
  /** Longest a settlement waits for the chain or the facilitator before it is unknown: 90 s on chain, 100 s remote. */
  settleTimeoutMs?: number;
}
