/** /admin/keys: keys of everybody, made (shown once), limited and revoked. */
import { HOUSE_ACCOUNT } from '../../keys/keys.ts';
import { createAnyKey, getAnyKey, revokeAnyKey, updateAnyKey } from '../admin/keys.ts';
import type { AdminOptions } from '../admin/options.ts';
import { type KeyView, viewsOf } from '../venice/keys.ts';
import { act, idOf, post, reasonField, run, said } from './actions.ts';
import { html, type Html } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import type { Page, PageCall, PageOptions } from './page.ts';
import { badge, field, figure, select, table, time } from './pieces.ts';

const PATH = '/admin/keys';
const STATES = ['active', 'revoked'] as const;
const TYPES = [
  ['INFERENCE', 'INFERENCE: buys'],
  ['ADMIN', 'ADMIN: of the house, an operator; of an account, all of that account'],
] as const;
const PERIODS = [
  ['EPOCH', 'a UTC day'],
  ['MONTH', 'a UTC month'],
  ['LIFETIME', 'its lifetime'],
] as const;

export function keysPage(options: AdminOptions): Page {
  return {
    title: 'Keys',
    path: PATH,
    run: async (call) => {
      const filter = {
        accountId: sought(call, 'accountId'),
        state: chosen(call, 'state', STATES),
      };
      const page = { ...filter, ...pageOf(call) };
      const found = await options.operator.lists.keys(call.operator, page);
      const { rows, next } = cut(call, found, ({ id }) => id);
      const keys = await viewsOf(rows, options);
      return html`${search(
          PATH,
          html`${field('Account', 'accountId', { value: filter.accountId ?? '' })}
          ${select('State', 'state', anyOf(STATES), filter.state)}`,
        )}
        ${list(keys, next)}
        <details class="card">
          <summary>Make a key</summary>
          ${post(call, PATH, newKeyFields(filter.accountId ?? HOUSE_ACCOUNT), { button: 'Make' })}
        </details>`;
    },
  };
}

function list(keys: KeyView[], next: string | null): Html {
  return table(
    [
      { title: 'Key', cell: ({ id, masked }) => link(PATH, id, masked) },
      { title: 'Label', cell: ({ label }) => label },
      { title: 'Account', cell: ({ accountId }) => link('/admin/accounts', accountId) },
      { title: 'Type', cell: ({ type }) => type },
      { title: 'Spent this month', isNumber: true, cell: ({ spent }) => `$${spent.month}` },
      { title: 'Limit', isNumber: true, cell: limitText },
      {
        title: 'Last used',
        cell: ({ lastUsedAt: at }) => time(at === null ? null : Date.parse(at)),
      },
      { title: 'State', cell: stateOf },
    ],
    keys,
    { empty: 'No key is like that.', next },
  );
}

function stateOf({ status }: KeyView): Html {
  return badge(status, status === 'active' ? 'good' : 'plain');
}

function limitText({ limit }: KeyView): string {
  if (!limit) return '–';
  const period = PERIODS.find(([name]) => name === limit.period)?.[1] ?? '';
  return `$${limit.usd} in ${period}`;
}

function newKeyFields(accountId: string): Html {
  return html`${field('Account', 'accountId', { of: 'new', value: accountId, isRequired: true })}
  ${select('Type', 'type', TYPES, 'INFERENCE', 'new')} ${field('Label', 'label', { of: 'new' })}
  ${limitFields('new')} ${reasonField('new')}`;
}

function limitFields(of: string): Html {
  return html`${field('Limit, US dollars', 'limitUsd', { of, hint: 'Empty: no limit' })}
  ${select('in', 'period', PERIODS, 'EPOCH', of)}
  ${field('Most that one request may cost', 'maxRequestUsd', { of })}
  ${field('Models', 'models', { of, hint: 'With commas; * stands for any characters' })}
  ${field('Ends on', 'expiresAt', { of, type: 'date' })}`;
}

export function keyPage(options: AdminOptions): Page {
  const one = getAnyKey(options);
  return {
    title: 'Key',
    path: PATH,
    run: async (call) => {
      const key = (await run(one, call, {})) as KeyView;
      const at = `${PATH}/${idOf(call)}`;
      const { spent, limit, expiresAt, parentId, models, maxRequestUsd } = key;
      return html`<p>
          ${stateOf(key)} <code>${key.masked}</code> ${key.label} – ${key.type} of
          ${link('/admin/accounts', key.accountId)}
          ${parentId !== null && html`, below ${link(PATH, parentId)}`}
        </p>
        <dl class="figures">
          ${figure('Spent today', `$${spent.today}`)} ${figure('This month', `$${spent.month}`)}
          ${figure('Ever', `$${spent.total}`)}
          ${figure('Limit', limitText(key), limit && `$${limit.remaining} left`)}
        </dl>
        <p>
          Models: ${models?.join(', ') ?? 'all'}. One request:
          ${maxRequestUsd === undefined ? 'any cost' : `at most $${maxRequestUsd}`}. Ends:
          ${expiresAt === null ? 'never' : time(Date.parse(expiresAt))}.
          <a href="/admin/log?target=${key.id}">Its log</a>
        </p>
        ${key.status !== 'revoked' && changes(call, at)}`;
    },
  };
}

function changes(call: PageCall, at: string): Html {
  return html`<div class="columns">
    <details class="card">
      <summary>Change its limits</summary>
      ${post(
        call,
        at,
        html`<p class="soft">What is left empty stays; 0 as limit takes nothing more.</p>
          ${limitFields('change')} ${reasonField('change')}`,
        { button: 'Change' },
      )}
    </details>
    <details class="card">
      <summary>Revoke</summary>
      ${post(call, `${at}/revoke`, reasonField('revoke'), {
        button: 'Revoke for good',
        tone: 'danger',
        confirm: 'Revoke this key and every key below it?',
      })}
    </details>
  </div>`;
}

/** A number that is none is left as text, for the check to name the field. */
function keyFields(form: URLSearchParams): Record<string, unknown> {
  const { limitUsd, period, models, ...rest } = said(form);
  return {
    ...rest,
    ...(limitUsd !== undefined && {
      limit: { usd: Number.isNaN(Number(limitUsd)) ? limitUsd : Number(limitUsd), period },
    }),
    ...(models !== undefined && { models: models.split(',').map((name) => name.trim()) }),
  };
}

/** POST /admin/keys */
export function makeKey(options: PageOptions & AdminOptions) {
  return act(options, {
    operation: createAnyKey(options),
    fields: keyFields,
    done: (answer) => {
      const { key, id } = answer as KeyView & { key: string };
      const main = html`<p>Copy it now: it is shown this once.</p>
        <pre>${key}</pre>
        <p><a href="${PATH}/${id}">To the key</a></p>`;
      return { title: 'The new key', path: PATH, main };
    },
  });
}

/** POST /admin/keys/{id} and …/revoke */
export function keyActions(options: PageOptions & AdminOptions) {
  const back = (_answer: unknown, call: PageCall) => ({
    to: `${PATH}/${idOf(call)}`,
    notice: 'Done; it is in the log.',
  });
  return {
    change: act(options, { operation: updateAnyKey(options), fields: keyFields, done: back }),
    revoke: act(options, { operation: revokeAnyKey(options), done: back }),
  };
}
