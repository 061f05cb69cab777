/** /admin/usage: what was used by day, by model and by key, drawn, listed and as CSV. */
import { formatBigUsd } from '../../money.ts';
import type { DayPart, KeyPart, UsagePart } from '../../operator/usage.ts';
import type { Span } from '../../usage/sources.ts';
import type { AdminOptions } from '../admin/options.ts';
import { shownSpan, spanOf } from '../admin/spans.ts';
import { csv } from '../csv.ts';
import { dateOf, startOf } from '../venice/dates.ts';
import { html, type Html } from './html.ts';
import { link, search } from './lists.ts';
import { type Page, type PageCall, type PageOptions, stream } from './page.ts';
import { dollars, field, table } from './pieces.ts';

export type UsagePageOptions = Pick<AdminOptions, 'operator' | 'clock'>;

const PATH = '/admin/usage';
/** Lines of one plot. */
const MOST_LINES = 5;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

export function usagePage(options: UsagePageOptions): Page {
  const { usage } = options.operator;
  return {
    title: 'Usage',
    path: PATH,
    run: async (call) => {
      const span = spanIn(call, options);
      const { from, to } = shownSpan(span);
      const parts = await usage.byModel(span);
      const keys = await usage.byKey(span);
      const models = sums(parts, ({ model }) => model).toSorted((a, b) => compare(b, a));
      return html`${search(
          PATH,
          html`${field('From, UTC', 'from', { type: 'date', value: from })}
          ${field('to', 'to', { type: 'date', value: to })}`,
        )}
        <h2>Revenue and cost by day</h2>
        ${plot(span, [
          { label: 'Revenue', values: byDay(parts, span, ({ revenue }) => revenue) },
          { label: 'Upstream cost', values: byDay(parts, span, ({ upstream }) => upstream) },
        ])}
        <h2>Revenue by model</h2>
        ${plot(
          span,
          models.slice(0, MOST_LINES).map(({ name }) => ({
            label: name || '–',
            values: byDay(
              parts.filter(({ model }) => model === name),
              span,
              ({ revenue }) => revenue,
            ),
          })),
        )}
        ${modelTable(models)}
        <h2>By key</h2>
        ${keyTable(keys)}
        <p>
          <a href="${PATH}.csv?from=${from}&amp;to=${to}" download>As CSV, by day and model</a>
        </p>`;
    },
  };
}

function spanIn({ query }: PageCall, { clock }: UsagePageOptions): Span {
  const date = (name: string) => {
    const text = query.get(name) ?? '';
    return DATE.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined;
  };
  return spanOf({ from: date('from'), to: date('to') }, clock.nowMs());
}

type Sum = Omit<UsagePart, 'day' | 'model'> & { name: string };

function sums(parts: readonly UsagePart[], nameOf: (part: UsagePart) => string): Sum[] {
  const found = new Map<string, Sum>();
  for (const part of parts) {
    const name = nameOf(part);
    const sum = found.get(name) ?? { name, requests: 0, revenue: 0n, upstream: 0n, uncosted: 0 };
    sum.requests += part.requests;
    sum.revenue += part.revenue;
    sum.upstream += part.upstream;
    sum.uncosted += part.uncosted;
    found.set(name, sum);
  }
  return [...found.values()];
}

function compare(a: Sum, b: Sum): number {
  return a.revenue < b.revenue ? -1 : Number(a.revenue > b.revenue);
}

/** Dollars, for drawing alone. */
export function byDay<Part extends DayPart>(
  parts: readonly Part[],
  { fromDay, toDay }: Span,
  of: (part: Part) => bigint,
): number[] {
  const values = Array.from({ length: toDay - fromDay + 1 }, () => 0n);
  for (const part of parts) values[part.day - fromDay]! += of(part);
  return values.map((nano) => Number(formatBigUsd(nano)));
}

export function plot(
  { fromDay, toDay }: Span,
  series: { label: string; values: number[] }[],
): Html {
  if (!series.length) return html`<p class="empty">Nothing was used.</p>`;
  const x = Array.from({ length: toDay - fromDay + 1 }, (_each, n) => startOf(fromDay + n) / 1_000);
  const data = JSON.stringify({ x, series, money: true });
  return html`<div
    class="plot card"
    data-plot="${data}"
    role="img"
    aria-label="Plot of ${series.map(({ label }) => label).join(', ')}; the figures are in the table below and in the CSV"
  >
    <noscript>
      The plot needs JavaScript. Its figures: <a href="${PATH}.csv">as CSV, by day and model</a>.
    </noscript>
  </div>`;
}

function modelTable(models: Sum[]): Html {
  return table(
    [
      { title: 'Model', cell: ({ name }) => name || '–' },
      { title: 'Calls', isNumber: true, cell: ({ requests }) => requests },
      { title: 'Revenue', isNumber: true, cell: ({ revenue }) => dollars(revenue) },
      { title: 'Upstream cost', isNumber: true, cell: ({ upstream }) => dollars(upstream) },
      { title: 'Cost unknown', isNumber: true, cell: ({ uncosted }) => uncosted },
    ],
    models,
    { empty: 'Nothing was used.' },
  );
}

function keyTable(keys: KeyPart[]): Html {
  return table(
    [
      {
        title: 'Key',
        cell: ({ keyId, label }) =>
          keyId === '' ? 'wallets themselves' : link('/admin/keys', keyId, label || keyId),
      },
      { title: 'Calls', isNumber: true, cell: ({ requests }) => requests },
      { title: 'Charged', isNumber: true, cell: ({ cost }) => dollars(cost) },
    ],
    keys,
    { empty: 'Nothing was used.' },
  );
}

/** GET /admin/usage.csv */
export function usageCsv(options: PageOptions & UsagePageOptions) {
  return stream(options, async (call) => {
    const span = spanIn(call, options);
    const parts = await options.operator.usage.byModel(span);
    const head = ['date', 'model', 'calls', 'revenue_usd', 'upstream_usd', 'cost_unknown'];
    const rows = parts.map(({ day, model, requests, revenue, upstream, uncosted }) => [
      dateOf(day),
      model,
      { number: String(requests) },
      { number: formatBigUsd(revenue) },
      { number: formatBigUsd(upstream) },
      { number: String(uncosted) },
    ]);
    const bytes = Buffer.from(csv([head, ...rows]));
    const { headers } = call.ctx.state;
    headers['content-type'] = 'text/csv; charset=utf-8';
    headers['content-disposition'] = 'attachment; filename="farebox-usage.csv"';
    headers['content-length'] = String(bytes.length);
    call.ctx.res.writeHead(200, headers);
    call.ctx.res.end(bytes);
  });
}
