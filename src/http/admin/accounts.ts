/** /admin/api/accounts: find, open, freeze; what an account has, and what moved. */
import { z } from 'zod';
import type { AccountRow, EntryRow, HoldRow } from '../../db/tables.ts';
import { formatUsd, nanoUsd, parseUsd, subtractUsd } from '../../money.ts';
import type { AccountWithWallet } from '../../operator/lists.ts';
import { operation } from '../operation.ts';
import {
  amountOrNone,
  iso,
  isoOrNull,
  listAnswer,
  listOf,
  numberedQuery,
  page,
  reason,
  usd,
} from './fields.ts';
import type { AdminOptions } from './options.ts';

const RECENT = 20;

const kind = z.enum(['wallet', 'house']);
const state = z.enum(['active', 'frozen'], 'must be active or frozen');
const label = z.string('must be text').trim().min(1).max(100, 'must be at most 100 characters');

const accountView = z.strictObject({
  id: z.string(),
  kind,
  label: z.string(),
  state,
  wallet: z.strictObject({ family: z.string(), chain: z.string(), address: z.string() }).nullable(),
  postedUsd: z.string(),
  heldUsd: z.string(),
  /** Without the credit line. */
  availableUsd: z.string(),
  creditLineUsd: z.string(),
  createdAt: z.string(),
});

const entryView = z.strictObject({
  seq: z.int(),
  at: z.string(),
  kind: z.string(),
  /** Negative where money left the account. */
  amountUsd: z.string(),
  balanceAfterUsd: z.string().nullable(),
  /** Id of what caused it: a hold, a payment, a payout, an adjustment. */
  ref: z.string(),
  requestId: z.string().nullable(),
  model: z.string().nullable(),
});

const holdState = z.enum(['open', 'captured', 'voided', 'expired']);
const holdView = z.strictObject({
  id: z.string(),
  state: holdState,
  purpose: z.string(),
  amountUsd: z.string(),
  capturedUsd: z.string(),
  keyId: z.string().nullable(),
  model: z.string().nullable(),
  requestId: z.string().nullable(),
  createdAt: z.string(),
  expiresAt: z.string(),
  resolvedAt: z.string().nullable(),
});

export function shownAccount(row: AccountRow & Partial<AccountWithWallet>) {
  const [posted, held] = [nanoUsd(row.posted), nanoUsd(row.held)];
  const { family = null, chain = null, address = null } = row;
  return {
    id: row.id,
    kind: row.kind,
    label: row.label,
    state: row.state,
    wallet: family === null ? null : { family, chain, address },
    postedUsd: formatUsd(posted),
    heldUsd: formatUsd(held),
    availableUsd: formatUsd(subtractUsd(posted, held)),
    creditLineUsd: formatUsd(nanoUsd(row.credit_line)),
    createdAt: iso(row.created_at),
  };
}

function shownEntry(row: EntryRow, accountId: string) {
  const change = row.credit_account === accountId ? row.amount : -row.amount;
  return {
    seq: row.seq,
    at: iso(row.at),
    kind: row.kind,
    amountUsd: formatUsd(nanoUsd(change)),
    balanceAfterUsd: row.balance_after === null ? null : formatUsd(nanoUsd(row.balance_after)),
    ref: row.ref,
    requestId: row.request_id,
    model: row.model,
  };
}

function shownHold(row: HoldRow) {
  return {
    id: row.id,
    state: row.state,
    purpose: row.purpose,
    amountUsd: formatUsd(nanoUsd(row.amount)),
    capturedUsd: formatUsd(nanoUsd(row.captured)),
    keyId: row.key_id,
    model: row.model,
    requestId: row.request_id,
    createdAt: iso(row.created_at),
    expiresAt: iso(row.expires_at),
    resolvedAt: isoOrNull(row.resolved_at),
  };
}

const listQuery = z.strictObject({
  ...page,
  /** How a label, an id or a wallet's address begins, at least 3 characters; of the newest 20,000 accounts any part of them. */
  search: z.string().max(100).optional(),
  kind: kind.optional(),
  state: state.optional(),
});

export function listAccounts({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Find accounts',
    right: 'admin',
    query: listQuery,
    answer: listOf(accountView),
    run: async ({ principal, query }) => {
      const { limit, cursor: before, ...filter } = query;
      const rows = await operator.lists.accounts(principal, {
        ...filter,
        limit: limit + 1,
        before,
      });
      return listAnswer(rows, limit, { view: shownAccount, cursor: ({ id }) => id });
    },
  });
}

const createBody = z.strictObject({
  label,
  creditLineUsd: usd.default('0'),
  /** creditLineUsd once more, when it is large. */
  confirm: usd.optional(),
  reason,
});

export function createAccount({ operator }: AdminOptions) {
  return operation<z.infer<typeof createBody>>({
    summary: 'Open an account of the house',
    right: 'admin',
    body: createBody,
    answer: accountView,
    status: 201,
    mints: true,
    run: async ({ principal, body }) => {
      const row = await operator.accounts.create(principal, {
        label: body.label,
        creditLine: parseUsd(body.creditLineUsd),
        confirm: amountOrNone(body.confirm),
        reason: body.reason,
      });
      return shownAccount(row);
    },
  });
}

export function getAccount({ operator }: AdminOptions) {
  return operation({
    summary: 'One account with its newest entries',
    right: 'admin',
    answer: accountView.extend({ entries: z.array(entryView) }),
    run: async ({ principal, params }) => {
      const id = params['id'] ?? '';
      const row = await operator.lists.account(principal, id);
      const entries = await operator.lists.entries(principal, id, { limit: RECENT });
      return { ...shownAccount(row), entries: entries.map((entry) => shownEntry(entry, id)) };
    },
  });
}

const updateBody = z.strictObject({
  label: label.optional(),
  state: state.optional(),
  creditLineUsd: usd.optional(),
  /** creditLineUsd once more, when it is large. */
  confirm: usd.optional(),
  reason,
});

export function updateAccount({ operator }: AdminOptions) {
  return operation<z.infer<typeof updateBody>>({
    summary: 'Freeze, unfreeze or rename an account, or set its credit line',
    right: 'admin',
    body: updateBody,
    answer: accountView,
    run: async ({ principal, params, body }) => {
      const id = params['id'] ?? '';
      await operator.accounts.change(principal, id, {
        label: body.label,
        state: body.state,
        creditLine: amountOrNone(body.creditLineUsd),
        confirm: amountOrNone(body.confirm),
        reason: body.reason,
      });
      return shownAccount(await operator.lists.account(principal, id));
    },
  });
}

export function listEntries({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof numberedQuery>>({
    summary: 'What moved on an account',
    right: 'admin',
    query: numberedQuery,
    answer: listOf(entryView),
    run: async ({ principal, params, query: { limit, cursor: before } }) => {
      const { id } = await operator.lists.account(principal, params['id'] ?? '');
      const rows = await operator.lists.entries(principal, id, { limit: limit + 1, before });
      return listAnswer(rows, limit, {
        view: (row) => shownEntry(row, id),
        cursor: ({ seq }) => String(seq),
      });
    },
  });
}

const holdsQuery = z.strictObject({ ...page, state: holdState.optional() });

export function listHolds({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof holdsQuery>>({
    summary: 'What is and was set aside of an account',
    right: 'admin',
    query: holdsQuery,
    answer: listOf(holdView),
    run: async ({ principal, params, query }) => {
      const { limit, cursor: before, state: of } = query;
      const { id } = await operator.lists.account(principal, params['id'] ?? '');
      const { rows, next } = await operator.lists.holds(principal, id, {
        limit,
        before,
        state: of,
      });
      return { object: 'list', data: rows.map(shownHold), nextCursor: next };
    },
  });
}
