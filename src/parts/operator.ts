/** The parts that operators read the shop with, and change it. */
import type { Operator } from '../auth/operator.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Store } from '../ledger/store.ts';
import type { Log } from '../log.ts';
import type { RequestCounts } from '../metrics/requests.ts';
import { OperatorAccounts } from '../operator/accounts.ts';
import { Attention } from '../operator/attention.ts';
import { Figures } from '../operator/figures.ts';
import { Funds } from '../operator/funds.ts';
import { OperatorLists } from '../operator/lists.ts';
import { isOpen, recheckPayment } from '../operator/recheck.ts';
import { Standing } from '../operator/standing.ts';
import { OperatorTasks } from '../operator/tasks.ts';
import type { Upkeep } from '../operator/upkeep.ts';
import { OperatorUsage } from '../operator/usage.ts';
import type { createWays } from './ways.ts';

export interface OperatorPartsOptions {
  store: Store;
  config: Config;
  rails: Rails;
  ways: Awaited<ReturnType<typeof createWays>>;
  requests: RequestCounts;
  upkeep: Upkeep;
  clock: Clock;
  log: Log;
}

export function createOperatorParts(options: OperatorPartsOptions) {
  const { store, config, rails, ways, requests, upkeep, clock, log } = options;
  const { ledger, reports } = store;
  const { channelUsage, switches, routing, drift } = ways.forOperator;
  const figures = new Figures(reports);
  const { dataDir, mode } = config;
  const watched = { reports, rails, switches, routing, drift, upkeep, dataDir, mode, clock };
  return {
    ...ways.forOperator,
    accounts: new OperatorAccounts({ ledger, config: config.payments }),
    lists: new OperatorLists(reports),
    figures,
    funds: new Funds({ rails, clock, log }),
    standing: new Standing({ figures, channelUsage, requests, clock }),
    attention: new Attention(watched),
    tasks: new OperatorTasks(reports),
    usage: new OperatorUsage(reports),
    recheck: (by: Operator, id: string) => recheckPayment(ledger, by, id),
    isRecheckable: isOpen,
  };
}
