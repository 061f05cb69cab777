/** The first page: how the shop stands, and what wants looking at. */
import type { AdminOptions } from '../admin/options.ts';
import { html } from './html.ts';
import type { Page } from './page.ts';
import { figure, usd } from './pieces.ts';

export type OverviewOptions = Pick<AdminOptions, 'operator'>;

export function overview({ operator }: OverviewOptions): Page {
  return {
    title: 'Overview',
    path: '/admin',
    run: async () => {
      const { liabilities, held } = await operator.figures.owed();
      return html`<dl class="figures">
        ${figure('Owed to customers', usd(liabilities))}
        ${figure('Held for work under way', usd(held))}
      </dl>`;
    },
  };
}
