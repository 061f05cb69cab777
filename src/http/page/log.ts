/** /admin/log: who changed what, and why. */
import type { AdminOptions } from '../admin/options.ts';
import { html } from './html.ts';
import { cut, numberedPageOf, search, sought } from './lists.ts';
import type { Page } from './page.ts';
import { field, table, time } from './pieces.ts';

const PATH = '/admin/log';

export function logPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  return {
    title: 'Log of changes',
    path: PATH,
    run: async (call) => {
      const filter = {
        target: sought(call, 'target'),
        actor: sought(call, 'actor'),
        action: sought(call, 'action'),
      };
      const page = numberedPageOf(call);
      const found = await operator.lists.changes(call.operator, { ...filter, ...page });
      const { rows, next } = cut(call, found, ({ seq }) => seq);
      return html`${search(
        PATH,
        html`${field('What (its id)', 'target', { value: filter.target ?? '' })}
        ${field('Who', 'actor', { value: filter.actor ?? '' })}
        ${field('Action (account.grant)', 'action', { value: filter.action ?? '' })}`,
      )}
      ${table(
        [
          { title: 'When', cell: ({ at }) => time(at) },
          { title: 'Who', cell: ({ actor }) => html`<code>${actor}</code>` },
          { title: 'Action', cell: ({ action }) => action },
          { title: 'What', cell: ({ target }) => html`<code>${target}</code>` },
          { title: 'Why', cell: ({ reason }) => reason },
          {
            title: 'Detail',
            cell: ({ detail }) =>
              detail !== '{}' &&
              html`<details>
                <summary>Show</summary>
                <pre>${pretty(detail)}</pre>
              </details>`,
          },
        ],
        rows,
        { empty: 'Nobody changed anything like that.', next },
      )}`;
    },
  };
}

function pretty(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 2);
}
