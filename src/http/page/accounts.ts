/** /admin/accounts: find accounts, and open one of the house. */
import { createAccount } from '../admin/accounts.ts';
import type { AdminOptions } from '../admin/options.ts';
import { act, post, reasonField } from './actions.ts';
import { SEARCHED_ACCOUNTS } from '../../operator/lists.ts';
import { html } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import type { Page, PageOptions } from './page.ts';
import { badge, field, select, table, time, usd } from './pieces.ts';

const PATH = '/admin/accounts';
const KINDS = ['wallet', 'house'] as const;
const STATES = ['active', 'frozen'] as const;

export function accountsPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  return {
    title: 'Accounts',
    path: PATH,
    run: async (call) => {
      const filter = {
        search: sought(call, 'search'),
        kind: chosen(call, 'kind', KINDS),
        state: chosen(call, 'state', STATES),
      };
      const found = await operator.lists.accounts(call.operator, { ...filter, ...pageOf(call) });
      const { rows, next } = cut(call, found, ({ id }) => id);
      return html`${search(
          PATH,
          html`${field('Address, id or label', 'search', {
            value: filter.search ?? '',
            hint: `How it begins; of the newest ${SEARCHED_ACCOUNTS.toLocaleString('en')}, any part`,
          })}
          ${select('Kind', 'kind', anyOf(KINDS), filter.kind)}
          ${select('State', 'state', anyOf(STATES), filter.state)}`,
        )}
        ${table(
          [
            { title: 'Account', cell: ({ id }) => link(PATH, id) },
            {
              title: 'Wallet or label',
              cell: ({ address, label, kind }) =>
                address === null ? label || kind : html`<span class="mono">${address}</span>`,
            },
            { title: 'Balance', isNumber: true, cell: ({ posted }) => usd(posted) },
            { title: 'Held', isNumber: true, cell: ({ held }) => usd(held) },
            { title: 'State', cell: ({ state }) => stateBadge(state) },
            { title: 'Since', cell: ({ created_at: at }) => time(at) },
          ],
          rows,
          { empty: 'No account is like that.', next },
        )}
        <details class="card">
          <summary>Open an account of the house</summary>
          ${post(
            call,
            PATH,
            html`${field('Label', 'label', { of: 'new', isRequired: true })}
            ${field('Credit line, US dollars', 'creditLineUsd', { of: 'new', value: '0' })}
            ${field('Credit line once more, where it is large', 'confirm', { of: 'new' })}
            ${reasonField('new')}`,
            { button: 'Open account' },
          )}
        </details>`;
    },
  };
}

export function stateBadge(state: 'active' | 'frozen') {
  return badge(state, state === 'active' ? 'good' : 'bad');
}

/** POST /admin/accounts */
export function openAccount(options: PageOptions & AdminOptions) {
  return act(options, {
    operation: createAccount(options),
    done: (answer) => ({
      to: `${PATH}/${(answer as { id: string }).id}`,
      notice: 'The account is open.',
    }),
  });
}
