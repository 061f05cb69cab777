/** /admin/payouts: the queue of wallets that want their money back, and what became of each. */
import type { PayoutRow } from '../../db/tables.ts';
import { approvePayout, cancelPayout, markPayoutSent } from '../admin/payouts.ts';
import type { AdminOptions } from '../admin/options.ts';
import { act, idOf, post, reasonField } from './actions.ts';
import { html, type Html, type Piece } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import type { Page, PageCall, PageOptions } from './page.ts';
import { badge, facts, field, figure, select, table, time, usd } from './pieces.ts';

const PATH = '/admin/payouts';
const STATES = [
  'requested',
  'approved',
  'sent',
  'settled',
  'failed',
  'cancelled',
  'reversed',
] as const;
const TONES = {
  requested: 'warn',
  approved: 'warn',
  sent: 'warn',
  settled: 'good',
  failed: 'bad',
  cancelled: 'plain',
  reversed: 'bad',
} as const;
const METHODS = [
  ['embedded', 'by the treasury’s key'],
  ['manual', 'by hand'],
] as const;

export function payoutsPage({ payouts }: Pick<AdminOptions, 'payouts'>): Page {
  return {
    title: 'Payouts',
    path: PATH,
    run: async (call) => {
      const filter = { state: chosen(call, 'state', STATES), accountId: sought(call, 'accountId') };
      const found = await payouts.list({ ...filter, ...pageOf(call) });
      const { rows, next } = cut(call, found, ({ id }) => id);
      return html`${search(
        PATH,
        html`${select('State', 'state', anyOf(STATES), filter.state)}
        ${field('Account', 'accountId', { value: filter.accountId ?? '' })}`,
      )}
      ${table(
        [
          { title: 'Payout', cell: ({ id }) => link(PATH, id) },
          { title: 'When', cell: ({ created_at: at }) => time(at) },
          { title: 'Amount', isNumber: true, cell: ({ amount }) => usd(amount) },
          { title: 'To', cell: ({ recipient }) => html`<code>${recipient}</code>` },
          { title: 'Asked by', cell: ({ asked_by: by }) => html`<code>${by}</code>` },
          { title: 'State', cell: ({ state }) => badge(state, TONES[state]) },
          { title: 'Why', cell: ({ reason }) => reason ?? '' },
        ],
        rows,
        { empty: 'Nobody wants money back.', next },
      )}`;
    },
  };
}

export function payoutPage({ payouts }: Pick<AdminOptions, 'payouts'>): Page {
  return {
    title: 'Payout',
    path: PATH,
    run: async (call) => {
      const row = await payouts.get(idOf(call));
      const lines: [string, Piece][] = [
        ['To', html`<code>${row.recipient}</code> on ${row.network}`],
        ['Account', link('/admin/accounts', row.account_id)],
        ['Asked', html`${time(row.created_at)} by <code>${row.asked_by}</code>`],
        ['Sent', html`${time(row.sent_at)} ${row.method ?? ''}`],
        ['Transaction', html`<code>${row.transaction_id ?? '–'}</code>`],
        ['Settled', time(row.settled_at)],
        ['Reason', row.reason ?? '–'],
      ];
      return html`<p>${badge(row.state, TONES[row.state])} <code>${row.id}</code></p>
        <dl class="figures">
          ${figure('Amount', usd(row.amount))} ${figure('Looks at the chain', row.looks)}
          ${figure('Next look', time(row.next_check_at))}
        </dl>
        ${facts(lines)}
        <p><a href="/admin/log?target=${row.id}">Its log</a></p>
        <div class="columns">${forms(call, row)}</div>`;
    },
  };
}

function forms(call: PageCall, { id, state, method }: PayoutRow): Piece {
  const at = `${PATH}/${id}`;
  const isWaiting = state === 'requested' || state === 'approved';
  const isByHand = method !== 'embedded' && (isWaiting || state === 'sent');
  return [
    isWaiting &&
      card(
        'Approve',
        post(
          call,
          `${at}/approve`,
          html`${select('Sent', 'method', METHODS, 'embedded', 'approve')} ${reasonField('approve')}`,
          { button: 'Approve', confirm: 'Pay this money out?' },
        ),
      ),
    isByHand &&
      card(
        'It was sent by hand',
        post(
          call,
          `${at}/sent`,
          html`${field('Transaction', 'transaction', { of: 'sent', isRequired: true })}
          ${reasonField('sent')}`,
          { button: 'Save' },
        ),
      ),
    (isWaiting || isByHand) &&
      card(
        'Cancel',
        post(call, `${at}/cancel`, reasonField('cancel'), {
          button: 'Give the money back to the account',
          tone: 'danger',
        }),
      ),
  ];
}

function card(title: string, inside: Html): Html {
  return html`<section class="card">
    <h2>${title}</h2>
    ${inside}
  </section>`;
}

export function payoutActions(options: PageOptions & AdminOptions) {
  const done = (_answer: unknown, call: PageCall) => ({
    to: `${PATH}/${idOf(call)}`,
    notice: 'Done; it is in the log.',
  });
  return {
    approve: act(options, { operation: approvePayout(options), done }),
    sent: act(options, { operation: markPayoutSent(options), done }),
    cancel: act(options, { operation: cancelPayout(options), done }),
  };
}
