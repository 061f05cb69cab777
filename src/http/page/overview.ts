/** The first page: how the shop stands, and what wants looking at. */
import type { Served } from '../../usage/channels.ts';
import { formatBigUsd } from '../../money.ts';
import type { Concern } from '../../operator/attention.ts';
import type { NetworkFunds } from '../../operator/funds.ts';
import type { SpanName, Stand } from '../../operator/standing.ts';
import type { AdminOptions } from '../admin/options.ts';
import { spanOf } from '../admin/spans.ts';
import { html, type Html } from './html.ts';
import type { Page } from './page.ts';
import { figure, networkTitle, table, time } from './pieces.ts';
import { byDay, plot } from './usage.ts';

export type OverviewOptions = Pick<AdminOptions, 'operator' | 'clock'>;

const SPANS: readonly (readonly [SpanName, string])[] = [
  ['today', 'Today\u00a0(UTC)'],
  ['week', '7\u00a0days'],
  ['month', '30\u00a0days'],
];

export function overview({ operator, clock }: OverviewOptions): Page {
  return {
    title: 'Overview',
    path: '/admin',
    run: async () => {
      const concerns = await operator.attention.list();
      const stand = await operator.standing.now();
      const figures = figuresOf(stand);
      const span = spanOf({}, clock.nowMs());
      const days = await operator.usage.byDay(span);
      const live = (name: string) => html`<span data-figure="${name}">${figures[name]}</span>`;
      return html`<div data-live="/admin/live">
        ${attention(concerns)}
        <dl class="figures">
          ${figure('Owed to customers', live('liabilities'))}
          ${figure('Held for work under way', live('held'))}
          ${operator.funds.all().map((network) => funds(network))}
          ${figure('Calls since the start', live('calls'), html`${live('errors')} failed here`)}
          ${figure('19 of 20 calls take at most', live('p95'))}
        </dl>
        <h2>Business</h2>
        ${table(
          [
            { title: 'Span', cell: ([, title]) => title },
            ...['Calls', 'Revenue', 'Upstream cost', 'Margin'].map((title) => ({
              title,
              isNumber: true,
              cell: ([name]: (typeof SPANS)[number]) =>
                live(`${name}.${title.toLowerCase().split(' ').at(-1)}`),
            })),
          ],
          SPANS,
          { empty: '' },
        )}
        <h2>Revenue and cost by day</h2>
        ${plot(span, [
          { label: 'Revenue', values: byDay(days, span, ({ revenue }) => revenue) },
          { label: 'Upstream cost', values: byDay(days, span, ({ upstream }) => upstream) },
        ])}
        <p class="soft">
          Upstream cost is what upstreams say, else what the cost rules of the routes come to; a
          margin stands where the cost of every call is known.
          <a href="/admin/usage">More by day, model and key</a>
        </p>
      </div>`;
    },
  };
}

function attention(concerns: Concern[]): Html {
  if (!concerns.length) return html`<p class="notice">Nothing wants your attention.</p>`;
  return html`<ul class="attention" aria-label="What wants your attention">
    ${concerns.map(
      ({ tone, text, to }) =>
        html`<li class="${tone === 'bad' ? 'bad' : ''}"><a href="${to}">${text}</a></li>`,
    )}
  </ul>`;
}

function funds({ network, held, readAtMs }: NetworkFunds): Html {
  const value = held === null ? 'not known' : about(BigInt(held));
  return figure(
    `On chain, ${networkTitle(network)}`,
    value,
    readAtMs !== null && html`read ${time(readAtMs)}`,
  );
}

/** As they stand on the page and are told live, by name. */
export function figuresOf(stand: Stand): Record<string, string> {
  const { liabilities, held, spans, calls, errors, p95Ms } = stand;
  const figures: Record<string, string> = {
    liabilities: about(BigInt(liabilities)),
    held: about(BigInt(held)),
    calls: calls.toLocaleString('en'),
    errors: errors.toLocaleString('en'),
    p95: p95Ms === null ? '–' : `${Math.round(p95Ms)} ms`,
  };
  for (const [name] of SPANS) {
    for (const [part, text] of Object.entries(partsOf(spans[name])))
      figures[`${name}.${part}`] = text;
  }
  return figures;
}

function partsOf({ requests, revenue, upstream, uncosted }: Served): Record<string, string> {
  return {
    calls: requests.toLocaleString('en'),
    revenue: about(revenue),
    cost: uncosted > 0 ? `${about(upstream)} (${uncosted} unknown)` : about(upstream),
    margin: uncosted > 0 ? '–' : about(revenue - upstream),
  };
}

/** To the cent, small sums to the hundredth of one: what is exact stands on the pages behind. */
function about(nano: bigint): string {
  const value = Number(formatBigUsd(nano));
  const digits = value === 0 || Math.abs(value) >= 1 ? 2 : 4;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${value < 0 ? '-' : ''}$${Math.abs(value).toLocaleString('en', places)}`;
}
