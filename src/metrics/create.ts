/** All families of the server itself; others add theirs. */
import type { Log } from '../log.ts';
import { addChannels, type ChannelOptions } from './channels.ts';
import { Metrics } from './metrics.ts';
import { addMoney, type MoneyOptions } from './money.ts';
import type { Upkeep } from '../operator/upkeep.ts';
import { addProcess } from './process.ts';
import { addRequests, RequestCounts } from './requests.ts';
import { addUpkeep } from './upkeep.ts';

export interface MetricsOptions extends MoneyOptions, ChannelOptions {
  mode: string;
  upkeep: Upkeep;
  log: Log;
}

export interface MetricsParts extends Disposable {
  metrics: Metrics;
  /** What counts requests. */
  requests: RequestCounts;
}

export function createMetrics(options: MetricsOptions): MetricsParts {
  const metrics = new Metrics(options.log);
  const requests = new RequestCounts();
  addMoney(metrics, options);
  addChannels(metrics, options);
  addRequests(metrics, requests);
  addUpkeep(metrics, options.upkeep);
  const process = addProcess(metrics, options.mode);
  return { metrics, requests, [Symbol.dispose]: () => process[Symbol.dispose]() };
}
