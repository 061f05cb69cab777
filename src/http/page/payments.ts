/** /admin/payments: what was paid in, and what the reconciler saw of it. */
import type { PaymentRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import { fromUsdcUnits } from '../../money.ts';
import type { AdminOptions } from '../admin/options.ts';
import { idOf, post } from './actions.ts';
import { html, type Html, type Piece } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import { form, type Page, type PageCall, type PageOptions } from './page.ts';
import { networkTitle, badge, facts, field, figure, select, table, time, usd } from './pieces.ts';

const PATH = '/admin/payments';
const STATES = ['received', 'submitted', 'settled', 'failed', 'expired', 'reversed'] as const;
const TONES = {
  received: 'warn',
  submitted: 'warn',
  settled: 'good',
  failed: 'plain',
  expired: 'plain',
  reversed: 'bad',
} as const;

export function paymentsPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  return {
    title: 'Payments',
    path: PATH,
    run: async (call) => {
      const payer = sought(call, 'payer');
      const filter = {
        state: chosen(call, 'state', STATES),
        payer: payer?.startsWith('0x') ? payer.toLowerCase() : payer,
        accountId: sought(call, 'accountId'),
      };
      const found = await operator.lists.payments(call.operator, { ...filter, ...pageOf(call) });
      const { rows, next } = cut(call, found, ({ id }) => id);
      return html`${search(
        PATH,
        html`${select('State', 'state', anyOf(STATES), filter.state)}
        ${field('Payer', 'payer', { value: payer ?? '' })}
        ${field('Account', 'accountId', { value: filter.accountId ?? '' })}`,
      )}
      ${table(
        [
          { title: 'Payment', cell: ({ id }) => link(PATH, id) },
          { title: 'When', cell: ({ created_at: at }) => time(at) },
          { title: 'Amount', isNumber: true, cell: amountOf },
          { title: 'Network', cell: ({ network }) => networkTitle(network) },
          { title: 'Payer', cell: ({ payer: who }) => html`<code>${who}</code>` },
          { title: 'State', cell: stateOf },
          { title: 'Why', cell: ({ reason }) => reason ?? '' },
        ],
        rows,
        { empty: 'No payment is like that.', next },
      )}`;
    },
  };
}

function stateOf({ state, is_exposed: isExposed }: PaymentRow): Piece {
  return [badge(state, TONES[state]), isExposed === 1 && badge('unconfirmed', 'warn')];
}

function amountOf({ units }: PaymentRow): string {
  return usd(fromUsdcUnits(BigInt(units)));
}

export function paymentPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  return {
    title: 'Payment',
    path: PATH,
    run: async (call) => {
      const row = await operator.lists.payment(call.operator, idOf(call));
      if (!row) throw new AppError('not_found', 'There is no such payment.');
      return html`<p>${stateOf(row)} <code>${row.id}</code></p>
        <dl class="figures">
          ${figure('Amount', amountOf(row))} ${figure('Looks at the chain', row.attempts)}
          ${figure('Next look', time(row.next_check_at))}
        </dl>
        ${seen(row)} ${look(call, operator.isRecheckable(row))}`;
    },
  };
}

/** What the reconciler saw, and what it is waiting for. */
function seen(row: PaymentRow): Html {
  const lines: [string, Piece][] = [
    ['Payer', html`<code>${row.payer}</code>`],
    ['Network', row.network],
    ['Paid to', html`<code>${row.pay_to}</code>`],
    ['Account', link('/admin/accounts', row.account_id)],
    ['Came in', html`${time(row.created_at)} (${row.dialect})`],
    ['Handed on', time(row.submitted_at)],
    ['Credited', time(row.settled_at)],
    ['Valid until', time(row.valid_before)],
    ['Transaction', html`<code>${row.transaction_id ?? '–'}</code>`],
    ['Block', html`<code>${row.block ?? '–'}</code>`],
    ['Final', row.is_final === 1 ? 'yes' : 'not yet'],
    [
      'Confirmed by us',
      row.is_exposed === 1 ? 'not yet: a facilitator said so' : 'yes, or not credited',
    ],
    ['Reason', row.reason ?? '–'],
  ];
  return facts(lines);
}

function look(call: PageCall, isRecheckable: boolean): Html {
  if (!isRecheckable) return html`<p class="soft">Nothing more is to be seen of it.</p>`;
  const to = `${PATH}/${idOf(call)}/recheck`;
  return html`<p></p>
    ${post(call, to, null, { button: 'Look again now' })}`;
}

/** POST /admin/payments/{id}/recheck */
export function recheck(options: PageOptions & Pick<AdminOptions, 'operator'>) {
  return form(options, async (call) => {
    const id = idOf(call);
    await options.operator.recheck(call.operator, id);
    return { to: `${PATH}/${id}`, notice: 'It is looked at now; load the page again in a moment.' };
  });
}
