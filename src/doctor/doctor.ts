/** Every check of an installation, from the settings to the books. Buys nothing, changes nothing. */
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { type Finding, found } from './finding.ts';
import { checkBooks, checkClock, checkDisk, checkOpen, checkRights } from './machine.ts';
import { checkPayments } from './payments.ts';
import { checkHeaderSize, checkReach } from './reach.ts';
import { askUpstream, checkUpstreams } from './upstreams.ts';

export type { Finding } from './finding.ts';

export async function examine(config: Config, clock: Clock): Promise<Finding[]> {
  const { dataDir, mode, channels, models } = config;
  const isLive = mode === 'live';
  const networks = config.payments.networks.map(({ network }) => network);
  const parts = await Promise.all([
    found('disk', () => checkDisk(dataDir)),
    found('rights', () => checkRights(dataDir)),
    found('books', () => checkBooks(dataDir, clock.nowMs())),
    found('address', () => checkReach(config)),
    found('headers', () => Promise.resolve(checkHeaderSize(config))),
    // The sandbox has an upstream and money of its own.
    isLive ? checkUpstreams(channels, models) : [],
    isLive ? checkPayments(config, clock) : [],
    found('payments', () => checkOpen(dataDir, networks)),
    isLive ? found('clock', () => compareClock(config, clock)) : [],
  ]);
  return parts.flat();
}

async function compareClock({ channels }: Config, clock: Clock): Promise<Finding> {
  const asked = channels.slice(0, 3).map((channel) => askUpstream(channel).catch(() => null));
  const answers = await Promise.all(asked);
  return checkClock(
    clock.nowMs(),
    answers.flatMap((answer) => answer?.serverMs ?? []),
  );
}
