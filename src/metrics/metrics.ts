/**
 * What GET /metrics says, in Prometheus' text form. Families are read when somebody asks: on the path of a request nothing is done
 * but counting. Labels come from closed lists or from the settings, never from callers.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Log } from '../log.ts';
import type { Tally } from '../tally.ts';

export type Labels = Record<string, string>;

export interface Sample {
  labels?: Labels;
  value: number;
}

export interface Family {
  /** "farebox_…", with the unit last; a counter's ends with "_total". */
  name: string;
  help: string;
  kind: 'gauge' | 'counter';
  labels?: readonly string[];
  collect(): Sample[] | Promise<Sample[]>;
}

export interface TallyFamily {
  name: string;
  help: string;
  labels?: readonly string[];
  /** What a unit of the tally is in the unit of the name: 0.001 for milliseconds told in seconds. */
  scale?: number;
  collect(): { labels?: Labels; tally: Tally }[];
}

/** More series than that of one family are a mistake, and are left out. */
const MOST_SERIES = 5_000;

export class Metrics {
  readonly #registry = new Registry();
  readonly #log: Pick<Log, 'error'>;

  constructor(log: Pick<Log, 'error'>) {
    this.#log = log;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Throws where a family of this name is there already. */
  add(family: Family): void {
    const { name, help, kind, labels = [] } = family;
    const told = (): Promise<Sample[] | null> => this.#told(family);
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (kind === 'gauge') {
      void new Gauge({
        ...options,
        async collect() {
          const samples = await told();
          this.reset();
          if (!samples?.length) this.remove({});
          for (const { labels: at = {}, value } of samples ?? []) this.set(at, value);
        },
      });
      return;
    }
    void new Counter({
      ...options,
      async collect() {
        const samples = await told();
        this.reset();
        if (!samples) this.remove({});
        for (const { labels: at = {}, value } of samples ?? []) this.inc(at, value);
      },
    });
  }

  addTally(family: TallyFamily): void {
    this.#registry.registerMetric(new TallyHistogram(family));
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** One that fails leaves the others, and says nothing rather than 0. */
  async #told(family: Family): Promise<Sample[] | null> {
    try {
      return (await family.collect()).slice(0, MOST_SERIES);
    } catch (error) {
      this.#log.error('metric_failed', { name: family.name, error });
      return null;
    }
  }
}

type HistogramValues = Awaited<ReturnType<Histogram['get']>>;

/** A histogram that was counted elsewhere. */
class TallyHistogram extends Histogram {
  readonly #family: TallyFamily;

  constructor(family: TallyFamily) {
    const { name, help, labels = [] } = family;
    super({ name, help, labelNames: [...labels], registers: [] });
    this.#family = family;
  }

  override get(): Promise<HistogramValues> {
    const { name, help } = this.#family;
    const values = this.#family
      .collect()
      .slice(0, MOST_SERIES)
      .flatMap((each) => this.#lines(each));
    return Promise.resolve({
      name,
      help,
      type: 'histogram',
      values,
      aggregator: 'sum',
    } as unknown as HistogramValues);
  }

  /** Asked for by the registry instead of `get` where it is there. */
  getForPromString(): Promise<HistogramValues> {
    return this.get();
  }

  #lines({ labels = {}, tally }: { labels?: Labels; tally: Tally }): HistogramValues['values'] {
    const { name, scale = 1 } = this.#family;
    let sum = 0;
    const lines: HistogramValues['values'] = tally.counts.map((count, index) => {
      sum += count;
      const bound = tally.bounds[index];
      const le = bound === undefined ? '+Inf' : String(Number((bound * scale).toPrecision(12)));
      return { labels: { ...labels, le }, value: sum, metricName: `${name}_bucket` };
    });
    return [
      ...lines,
      { labels, value: tally.sum * scale, metricName: `${name}_sum` },
      { labels, value: tally.count, metricName: `${name}_count` },
    ];
  }
}
