/** Families about the process. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Metrics } from './metrics.ts';

const RESOLUTION_MS = 20;
const SECONDS_PER_NS = 1e-9;

/** Answers what must be ended with the server. */
export function addProcess(metrics: Metrics, mode: string): Disposable {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  metrics.add({
    name: 'farebox_info',
    help: 'Always 1.',
    kind: 'gauge',
    labels: ['mode'],
    collect: () => [{ labels: { mode }, value: 1 }],
  });
  metrics.add({
    name: 'farebox_event_loop_delay_seconds',
    help: 'How late timers are, since the last look.',
    kind: 'gauge',
    labels: ['quantile'],
    collect: () => {
      // What a timer waits for by itself is no delay.
      const late = (ns: number) => Math.max(0, ns * SECONDS_PER_NS - RESOLUTION_MS / 1_000);
      const samples = [
        { labels: { quantile: '0.5' }, value: late(delay.percentile(50)) },
        { labels: { quantile: '0.99' }, value: late(delay.percentile(99)) },
        { labels: { quantile: '1' }, value: delay.count ? late(delay.max) : 0 },
      ];
      delay.reset();
      return samples;
    },
  });
  let before = performance.eventLoopUtilization();
  metrics.add({
    name: 'farebox_event_loop_utilization_ratio',
    help: 'The share of time that the event loop was busy, since the last look.',
    kind: 'gauge',
    collect: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return [{ value: utilization }];
    },
  });
  metrics.add({
    name: 'farebox_heap_bytes',
    help: 'Memory of the JavaScript heap, and what it holds outside of it.',
    kind: 'gauge',
    labels: ['part'],
    collect: () => {
      const { used_heap_size: used, total_heap_size: total, external_memory } = getHeapStatistics();
      return [
        { labels: { part: 'used' }, value: used },
        { labels: { part: 'total' }, value: total },
        { labels: { part: 'external' }, value: external_memory },
      ];
    },
  });
  return { [Symbol.dispose]: () => delay.disable() };
}
