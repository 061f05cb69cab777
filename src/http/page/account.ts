/** /admin/accounts/{id}: what an account has, what moved, and what an operator may do to it. */
import type { AccountRow, AdjustmentRow, EntryRow } from '../../db/tables.ts';
import type { AccountWithWallet } from '../../operator/lists.ts';
import { updateAccount } from '../admin/accounts.ts';
import { adjustCredit, grantCredit, reverseAdjustment } from '../admin/credit.ts';
import type { AdminOptions } from '../admin/options.ts';
import { makePayout } from '../admin/payouts.ts';
import { stateBadge } from './accounts.ts';
import { act, type Action, idOf, post, reasonField } from './actions.ts';
import { html, type Html } from './html.ts';
import { cut, numberedPageOf } from './lists.ts';
import type { Page, PageCall, PageOptions } from './page.ts';
import { field, figure, select, table, time, usd } from './pieces.ts';

const PATH = '/admin/accounts';
const FEW = 10;
const METHODS = [
  ['embedded', 'by the treasury’s key'],
  ['manual', 'by hand'],
] as const;

export function accountPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  const { lists } = operator;
  return {
    title: (call) => `Account ${call.params['id'] ?? ''}`,
    path: PATH,
    run: async (call) => {
      const id = idOf(call);
      const by = call.operator;
      const account = await lists.account(by, id);
      const found = await lists.entries(by, id, numberedPageOf(call));
      const adjustments = await lists.adjustments(by, id, { limit: FEW });
      const { rows, next } = cut(call, found, ({ seq }) => seq);
      return html`${standing(account)}
        <p>
          <a href="/admin/keys?accountId=${id}">Its keys</a> ·
          <a href="/admin/payments?accountId=${id}">its payments</a> ·
          <a href="/admin/tasks?accountId=${id}">its tasks</a> ·
          <a href="/admin/payouts?accountId=${id}">its payouts</a> ·
          <a href="/admin/log?target=${id}">its log</a>
        </p>
        <h2>Ledger</h2>
        ${ledger(id, rows, next)}
        <h2>What you may do</h2>
        <div class="columns">${forms(call, account)}</div>
        <h2>Credit given and taken</h2>
        ${given(call, adjustments)}`;
    },
  };
}

function standing(account: AccountWithWallet): Html {
  const { posted, held, credit_line: line, kind, label, address, created_at: at } = account;
  return html`<p>
      ${stateBadge(account.state)} ${kind} ${label !== kind && label !== address && label}
      ${address !== null && html`<code>${address}</code>`} since ${time(at)}
    </p>
    <dl class="figures">
      ${figure('Balance', usd(posted))} ${figure('Held', usd(held))}
      ${figure('To spend', usd(posted - held + line))}
      ${kind === 'house' && figure('Credit line', usd(line))}
    </dl>`;
}

function ledger(id: string, rows: EntryRow[], next: string | null): Html {
  return table(
    [
      { title: 'When', cell: ({ at }) => time(at) },
      { title: 'What', cell: ({ kind }) => kind.toLowerCase() },
      {
        title: 'Amount',
        isNumber: true,
        cell: (row) => usd(row.credit_account === id ? row.amount : -row.amount),
      },
      {
        title: 'Balance after',
        isNumber: true,
        cell: ({ balance_after: after }) => (after === null ? '–' : usd(after)),
      },
      { title: 'Model', cell: ({ model }) => model ?? '' },
      { title: 'Cause', cell: ({ ref }) => html`<code>${ref}</code>` },
    ],
    rows,
    { empty: 'Nothing has moved yet.', next },
  );
}

function forms(call: PageCall, { id, state, kind }: AccountRow): Html {
  const at = `${PATH}/${id}`;
  const isFrozen = state === 'frozen';
  const amount = (of: string, hint: string) =>
    html`${field('Amount, US dollars', 'amountUsd', { of, isRequired: true, hint })}
    ${field('Amount once more, where it is large', 'confirm', { of })} ${reasonField(of)}`;
  const card = (title: string, inside: Html) =>
    html`<details class="card">
      <summary>${title}</summary>
      ${inside}
    </details>`;
  return html`${card(
    'Give credit',
    post(call, `${at}/grants`, amount('grant', 'A gift: 2.50'), { button: 'Give' }),
  )}
  ${card(
    'Correct the balance',
    post(call, `${at}/adjustments`, amount('adjust', '-2.50 takes'), {
      button: 'Correct',
      confirm: 'Correct this balance?',
    }),
  )}
  ${card(
    isFrozen ? 'Unfreeze' : 'Freeze',
    post(
      call,
      at,
      html`<input type="hidden" name="state" value="${isFrozen ? 'active' : 'frozen'}" />
        <p class="soft">A frozen account spends nothing and is paid nothing out.</p>
        ${reasonField('freeze')}`,
      { button: isFrozen ? 'Unfreeze' : 'Freeze', tone: isFrozen ? '' : 'danger' },
    ),
  )}
  ${
    kind === 'wallet'
      ? card(
          'Pay money back',
          post(
            call,
            `${at}/payouts`,
            html`${field('Amount, US dollars', 'amountUsd', {
              of: 'payout',
              hint: 'Left out: all that it has',
            })}
            ${select('Sent', 'method', METHODS, 'embedded', 'payout')} ${reasonField('payout')}`,
            { button: 'Pay out', confirm: 'Pay this money out to the wallet?', tone: 'danger' },
          ),
        )
      : card(
          'Credit line',
          post(
            call,
            at,
            html`${field('US dollars', 'creditLineUsd', { of: 'line', isRequired: true })}
            ${field('Once more, where it is large', 'confirm', { of: 'line' })}
            ${reasonField('line')}`,
            { button: 'Set' },
          ),
        )
  }`;
}

function given(call: PageCall, rows: AdjustmentRow[]): Html {
  const reversed = new Set(rows.map(({ reverses }) => reverses));
  return table(
    [
      { title: 'When', cell: ({ at }) => time(at) },
      { title: 'Amount', isNumber: true, cell: ({ change }) => usd(change) },
      { title: 'Reason', cell: ({ reason }) => reason },
      { title: 'By', cell: ({ actor }) => html`<code>${actor}</code>` },
      {
        title: '',
        cell: (row) =>
          row.reverses === null &&
          !reversed.has(row.id) &&
          html`<details>
            <summary>Take back</summary>
            ${post(
              call,
              `${PATH}/${row.account_id}/adjustments/${row.id}/reverse`,
              reasonField(row.id),
              { button: 'Take back', tone: 'danger' },
            )}
          </details>`,
      },
    ],
    rows,
    { empty: 'None.' },
  );
}

/** What the forms of the page do, by the end of their path. */
export function accountActions(options: PageOptions & AdminOptions) {
  const back = (notice: string): Action['done'] => {
    return (_answer, call) => ({ to: `${PATH}/${idOf(call)}`, notice });
  };
  const saved = back('Done; it is in the log.');
  return {
    change: act(options, { operation: updateAccount(options), done: saved }),
    grant: act(options, { operation: grantCredit(options), done: saved }),
    adjust: act(options, { operation: adjustCredit(options), done: saved }),
    reverse: act(options, { operation: reverseAdjustment(options), done: saved }),
    payOut: act(options, {
      operation: makePayout(options),
      done: (answer) => ({ to: `/admin/payouts/${(answer as { id: string }).id}` }),
    }),
  };
}
