/** The first page: how the shop stands, and what wants looking at. */
import type { Served } from '../../usage/channels.ts';
import { formatBigUsd } from '../../money.ts';
import type { Concern } from '../../operator/attention.ts';
import type { NetworkFunds } from '../../operator/funds.ts';
import type { SpanName, Stand } from '../../operator/standing.ts';
import type { AdminOptions } from '../admin/options.ts';
import { html, type Html } from './html.ts';
import type { Page } from './page.ts';
import { figure, table, time, usd } from './pieces.ts';

export type OverviewOptions = Pick<AdminOptions, 'operator'>;

const SPANS: readonly (readonly [SpanName, string])[] = [
  ['today', 'Today (UTC)'],
  ['week', '7 days'],
  ['month', '30 days'],
];

export function overview({ operator }: OverviewOptions): Page {
  return {
    title: 'Overview',
    path: '/admin',
    run: async () => {
      const concerns = await operator.attention.list();
      const stand = await operator.standing.now();
      const figures = figuresOf(stand);
      const live = (name: string) => html`<span data-figure="${name}">${figures[name]}</span>`;
      return html`<div data-live="/admin/live">
        ${attention(concerns)}
        <dl class="figures">
          ${figure('Owed to customers', live('liabilities'))}
          ${figure('Held for work under way', live('held'))}
          ${operator.funds.all().map((network) => funds(network))}
          ${figure('Calls since the start', live('calls'))}
          ${figure('Of them failed here', live('errors'))}
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
  const value = held === null ? 'not known' : usd(held);
  return figure(`On chain, ${network}`, value, readAtMs !== null && html`read ${time(readAtMs)}`);
}

/** As they stand on the page and are told live, by name. */
export function figuresOf(stand: Stand): Record<string, string> {
  const { liabilities, held, spans, calls, errors, p95Ms } = stand;
  const figures: Record<string, string> = {
    liabilities: usd(liabilities),
    held: usd(held),
    calls: String(calls),
    errors: String(errors),
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
    calls: String(requests),
    revenue: dollars(revenue),
    cost: uncosted > 0 ? `${dollars(upstream)} + ${uncosted} unknown` : dollars(upstream),
    margin: uncosted > 0 ? '–' : dollars(revenue - upstream),
  };
}

export function dollars(nano: bigint): string {
  const text = formatBigUsd(nano);
  return text.startsWith('-') ? `-$${text.slice(1)}` : `$${text}`;
}
