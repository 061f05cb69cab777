/**
 * What an operator does to accounts: open one of the house, freeze, give and take credit, set a credit line. Each change has a reason and
 * a line in the log of changes, in its own transaction. A typed-in zero too many is met three times: above a threshold the amount must be
 * said twice, each operator key has a daily cap, and any adjustment can be taken back by a new one that names it.
 */
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import { utcDay } from '../clock.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { AccountRow, AdjustmentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { type Ledger, SYSTEM, type WriteTx } from '../ledger/ledger.ts';
import { formatUsd, type NanoUsd, nanoUsd, ZERO_USD } from '../money.ts';

export interface OperatorAccountsOptions {
  ledger: Ledger;
  config: Pick<PaymentsConfig, 'adjustConfirm' | 'adjustDaily'>;
}

interface Because {
  reason: string;
  /** The amount once more; needed above the threshold. */
  confirm?: NanoUsd | undefined;
}

export interface NewAccount extends Because {
  label: string;
  creditLine: NanoUsd;
}

/** Undefined leaves a field as it is. */
export interface AccountChanges extends Because {
  label?: string | undefined;
  state?: AccountRow['state'] | undefined;
  creditLine?: NanoUsd | undefined;
}

/** What an account may hold and owe (src/ledger/write-tx.ts). */
const MOST = nanoUsd(1_000_000_000_000_000);

export class OperatorAccounts {
  readonly #ledger: Ledger;
  readonly #config: OperatorAccountsOptions['config'];

  constructor({ ledger, config }: OperatorAccountsOptions) {
    this.#ledger = ledger;
    this.#config = config;
  }

  /** An account of the house: its keys spend what an operator gives it, and its credit line. */
  async create(by: Operator, account: NewAccount): Promise<AccountRow> {
    const actor = operatorName(by);
    const { label, creditLine, reason } = account;
    this.#requireConfirmed(creditLine, account);
    return this.#ledger.write(async (tx) => {
      const row: AccountRow = {
        id: newId('acc'),
        kind: 'house',
        label,
        posted: 0,
        held: 0,
        credit_line: checkedLine(creditLine),
        state: 'active',
        created_at: tx.nowMs,
      };
      await tx.db.insertInto('accounts').values(row).execute();
      const detail = { label, creditLineUsd: formatUsd(creditLine) };
      await audit(tx, { actor, action: 'account.create', target: row.id, reason, detail });
      return row;
    });
  }

  /** Freezing takes effect for the next hold; running requests end. */
  async change(by: Operator, id: string, changes: AccountChanges): Promise<AccountRow> {
    const actor = operatorName(by);
    const { label, state, creditLine, reason } = changes;
    return this.#ledger.write(async (tx) => {
      const old = await requireAccountRow(tx, id);
      const row: AccountRow = {
        ...old,
        label: label ?? old.label,
        state: state ?? old.state,
        credit_line: creditLine === undefined ? old.credit_line : checkedLine(creditLine),
      };
      if (row.credit_line > old.credit_line)
        this.#requireConfirmed(nanoUsd(row.credit_line), changes);
      if (row.kind === 'wallet' && row.credit_line > 0) throw noLine();
      if (row.held > row.posted + row.credit_line) throw owesMore(row);
      await tx.db
        .updateTable('accounts')
        .set({ label: row.label, state: row.state, credit_line: row.credit_line })
        .where('id', '=', id)
        .execute();
      const detail = { before: told(old), after: told(row) };
      await audit(tx, { actor, action: actionOf(old, row), target: id, reason, detail });
      return row;
    });
  }

  /** Gives credit. */
  grant(by: Operator, id: string, amount: NanoUsd, because: Because): Promise<AdjustmentRow> {
    if (!(amount > 0)) throw wrongAmount('must be more than 0');
    return this.#move(by, { kind: 'GRANT', account: id, change: amount, reverses: null }, because);
  }

  /** Corrects a balance, up or down; never below what is set aside for running requests. */
  adjust(by: Operator, id: string, change: NanoUsd, because: Because): Promise<AdjustmentRow> {
    if (change === ZERO_USD) throw wrongAmount('must not be 0');
    return this.#move(by, { kind: 'ADJUST', account: id, change, reverses: null }, because);
  }

  /** Takes a grant or an adjustment back by a new entry that names it; once. It costs nothing of the daily cap. */
  async reverse(
    by: Operator,
    { account, adjustment }: { account: string; adjustment: string },
    because: Because,
  ): Promise<AdjustmentRow> {
    operatorName(by);
    const old = await this.#ledger.read
      .selectFrom('adjustments')
      .selectAll()
      .where('id', '=', adjustment)
      .where('account_id', '=', account)
      .executeTakeFirst();
    if (!old) throw new AppError('not_found', 'The account has no such adjustment.');
    if (old.reverses !== null) {
      throw new AppError('state_conflict', 'This takes another one back: make a new adjustment.');
    }
    const change = nanoUsd(-old.change);
    // What was said twice when it was given is known when it is taken back.
    const confirm = nanoUsd(Math.abs(change));
    const what = { kind: 'ADJUST' as const, account, change, reverses: adjustment };
    return this.#move(by, what, { ...because, confirm });
  }

  async #move(
    by: Operator,
    what: { kind: 'GRANT' | 'ADJUST'; account: string; change: NanoUsd; reverses: string | null },
    because: Because,
  ): Promise<AdjustmentRow> {
    const actor = operatorName(by);
    const { kind, account, change, reverses } = what;
    const amount = nanoUsd(Math.abs(change));
    this.#requireConfirmed(amount, because);
    return this.#ledger.write(async (tx) => {
      const old = await requireAccountRow(tx, account);
      if (reverses === null) await this.#requireRoom(tx, actor, amount);
      else await requireUnreversed(tx, reverses);
      if (change < 0) requireCovered(old, amount);
      const row: AdjustmentRow = {
        id: newId('adj'),
        kind,
        account_id: account,
        change,
        actor,
        reason: because.reason,
        reverses,
        day: utcDay(tx.nowMs),
        at: tx.nowMs,
      };
      await tx.db.insertInto('adjustments').values(row).execute();
      const other = kind === 'GRANT' ? SYSTEM.grants : SYSTEM.adjustments;
      const [debit, credit] = change > 0 ? [other, account] : [account, other];
      await tx.post({ kind, ref: refOf(row), debit, credit, amount });
      await audit(tx, {
        actor,
        action: reverses === null ? `account.${kind.toLowerCase()}` : 'account.reverse',
        target: account,
        reason: because.reason,
        detail: { id: row.id, usd: formatUsd(change), ...(reverses !== null && { reverses }) },
      });
      return row;
    });
  }

  #requireConfirmed(amount: NanoUsd, { confirm }: Because): void {
    const { adjustConfirm } = this.#config;
    if (confirm === undefined ? amount <= adjustConfirm : confirm === amount) return;
    const said = formatUsd(amount);
    const why = `amounts above ${formatUsd(adjustConfirm)} are said twice`;
    const message =
      confirm === undefined
        ? `confirm: must be "${said}", the amount once more; ${why}.`
        : `confirm: must be "${said}", the same amount.`;
    throw new AppError('invalid_request', message, {
      details: { _errors: [], confirm: { _errors: [message] } },
    });
  }

  /** Counted by who did it, over the UTC day, in the deciding transaction. */
  async #requireRoom({ db, nowMs }: WriteTx, actor: string, amount: NanoUsd): Promise<void> {
    const { adjustDaily } = this.#config;
    const done = await db
      .selectFrom('adjustments')
      .select('change')
      .where('actor', '=', actor)
      .where('day', '=', utcDay(nowMs))
      .where('reverses', 'is', null)
      .execute();
    const sum = done.reduce((total, { change }) => total + Math.abs(change), 0);
    if (sum + amount <= adjustDaily) return;
    const left = formatUsd(nanoUsd(Math.max(0, adjustDaily - sum)));
    throw new AppError(
      'forbidden',
      `One operator key gives and takes at most ${formatUsd(adjustDaily)} in a UTC day; ${left} is left.`,
    );
  }
}

/** The entry of one that takes another back names that one. */
function refOf({ id, reverses }: AdjustmentRow): string {
  return reverses === null ? id : `${reverses}:reversed`;
}

async function requireUnreversed({ db }: WriteTx, id: string): Promise<void> {
  const old = await db
    .selectFrom('adjustments')
    .select('id')
    .where('reverses', '=', id)
    .executeTakeFirst();
  if (old) throw new AppError('state_conflict', `It was taken back already, by ${old.id}.`);
}

async function requireAccountRow({ db }: WriteTx, id: string): Promise<AccountRow> {
  const row = await db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst();
  if (row) return row;
  throw new AppError('not_found', 'There is no such account.');
}

function requireCovered({ posted, held, credit_line: line }: AccountRow, amount: NanoUsd): void {
  const most = posted + line - held;
  if (amount <= most) return;
  throw wrongAmount(`at most ${formatUsd(nanoUsd(Math.max(0, most)))} can be taken`);
}

function checkedLine(line: NanoUsd): number {
  if (line >= 0 && line <= MOST) return line;
  throw new AppError('invalid_request', `creditLineUsd: must be 0 to ${formatUsd(MOST)}.`);
}

function noLine(): AppError {
  return new AppError('invalid_request', 'creditLineUsd: a wallet pays before it spends.');
}

function owesMore({ posted, held }: AccountRow): AppError {
  const least = formatUsd(nanoUsd(held - posted));
  return new AppError(
    'invalid_request',
    `creditLineUsd: must be at least ${least}, which the account owes or has set aside.`,
  );
}

function wrongAmount(right: string): AppError {
  const message = `amountUsd: ${right}.`;
  const details = { _errors: [], amountUsd: { _errors: [message] } };
  return new AppError('invalid_request', message, { details });
}

function told({ label, state, credit_line: line }: AccountRow) {
  return { label, state, creditLineUsd: formatUsd(nanoUsd(line)) };
}

function actionOf(old: AccountRow, row: AccountRow): string {
  if (row.state === old.state) return 'account.update';
  return row.state === 'frozen' ? 'account.freeze' : 'account.unfreeze';
}
