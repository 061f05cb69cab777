/**
 * Payouts give unspent money back to the wallet that paid it in: asked for by the wallet or made by an operator, sent by the treasury's
 * key or by hand, withdrawn from the account once the chain shows the transfer.
 */
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import { principalName, type WalletPrincipal } from '../auth/principal.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { PayoutRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd, type NanoUsd, nanoUsd } from '../money.ts';
import { within } from '../payments/in-flight.ts';
import {
  conflict,
  type Method,
  railFor,
  requireActive,
  requireMethod,
  transactionId,
  wrongTransaction,
} from './checks.ts';
import { endPayout, updatePayout, withTransaction } from './outcome.ts';
import {
  insertPayout,
  listPayouts,
  ownerOf,
  payoutById,
  type PayoutFilter,
  requirePayout,
} from './rows.ts';
import { PayoutSender } from './sender.ts';

export interface PayoutsOptions {
  ledger: Ledger;
  rails: Rails;
  clock: Clock;
  log: Log;
}

const SWEEP_MS = 1_000;
const MAX_PER_SWEEP = 20;
/** An operator's call waits that long for a transfer; it goes on by itself. */
const ANSWER_WITHIN_MS = 15_000;
const STOP_WITHIN_MS = 8_000;

export class Payouts {
  readonly #options: PayoutsOptions;
  readonly #sender: PayoutSender;
  #timer: NodeJS.Timeout | null = null;
  #reading: Promise<unknown> | null = null;

  constructor(options: PayoutsOptions) {
    this.#options = options;
    this.#sender = new PayoutSender(options);
  }

  /**
   * A wallet asks for its money: at most what it paid in and did not spend. It waits for an operator. Errors: invalid_request,
   * account_frozen, insufficient_balance, state_conflict, not_configured (nothing is paid out on a network of the wallet).
   */
  async ask(
    principal: WalletPrincipal,
    wanted: { amount: NanoUsd | null; network?: string | undefined },
  ): Promise<PayoutRow> {
    const { wallet, accountId } = principal;
    if (accountId === null) throw new AppError('not_found', 'This wallet has paid nothing in.');
    const rail = railFor(this.#options.rails.list(), wallet, wanted.network);
    const askedBy = principalName(principal);
    return this.#options.ledger.write(async (tx) => {
      await requireActive(tx, accountId);
      const { network, asset } = rail;
      const recipient = wallet.address;
      const row = await insertPayout(tx, {
        accountId,
        amount: wanted.amount,
        network,
        asset,
        recipient,
        askedBy,
        method: null,
        isOfWallet: true,
      });
      await audit(tx, { actor: askedBy, action: 'payout.ask', target: row.id, detail: told(row) });
      return row;
    });
  }

  /** An operator pays an account out. The answer is what became of it within a few seconds. */
  async make(
    by: Operator,
    payout: {
      accountId: string;
      amount: NanoUsd | null;
      network?: string | undefined;
      method: Method;
      reason: string;
    },
  ): Promise<PayoutRow> {
    const actor = operatorName(by);
    const { accountId, amount, method, reason } = payout;
    const wallet = await ownerOf(this.#options.ledger.read, accountId);
    const rail = railFor(this.#options.rails.list(), wallet, payout.network);
    requireMethod(rail, method);
    const row = await this.#options.ledger.write(async (tx) => {
      const { network, asset } = rail;
      const recipient = wallet.address;
      const made = await insertPayout(tx, {
        accountId,
        amount,
        network,
        asset,
        recipient,
        method,
        askedBy: actor,
        isOfWallet: false,
      });
      const detail = told(made);
      await audit(tx, { actor, action: 'payout.make', target: made.id, reason, detail });
      return made;
    });
    return this.#begin(row);
  }

  /** Answers a payout that was approved before as it is now: approving twice sends once. */
  async approve(
    by: Operator,
    id: string,
    { method, reason }: { method: Method; reason: string },
  ): Promise<PayoutRow> {
    const actor = operatorName(by);
    const seen = await requirePayout(this.#options.ledger.read, id);
    const rail = this.#options.rails.get(seen.network);
    if (!rail) throw new AppError('not_configured', `${seen.network} is not set up any more.`);
    requireMethod(rail, method);
    const row = await this.#options.ledger.write(async (tx) => {
      const old = await requirePayout(tx.db, id);
      const isDone = ['approved', 'sent', 'settled'].includes(old.state) && old.method === method;
      if (isDone) return old;
      // What was to be sent by hand and was not yet may still be sent by the treasury, and the other way round.
      if (old.state !== 'requested' && old.state !== 'approved') throw conflict(old);
      await audit(tx, { actor, action: 'payout.approve', target: id, reason, detail: { method } });
      const next_check_at = method === 'embedded' ? tx.nowMs : null;
      return updatePayout(tx, id, { state: 'approved', method, reason: null, next_check_at });
    });
    return this.#begin(row);
  }

  /**
   * The operator says which transaction paid it. Refused (invalid_request, details.reason) when the chain shows another one; one that
   * the chain does not show yet is waited for.
   */
  async sentByHand(
    by: Operator,
    id: string,
    { transaction: text, reason }: { transaction: string; reason: string },
  ): Promise<PayoutRow> {
    const actor = operatorName(by);
    const { ledger } = this.#options;
    const seen = await requirePayout(ledger.read, id);
    const rail = this.#options.rails.toLook(seen.network);
    if (!rail?.canLookUp) {
      throw new AppError('not_configured', `${seen.network}: no rpc_url shows what was sent.`);
    }
    const transaction = transactionId(rail, text);
    const said = { ...seen, payment: null, transaction_id: transaction };
    const evidence = await this.#sender.look(said);
    if (evidence.state === 'failed') throw wrongTransaction(evidence.reason, evidence.message);
    const row = await ledger.write(async (tx) => {
      const old = await requirePayout(tx.db, id);
      if (old.transaction_id === transaction) return old;
      const isByHand = old.method !== 'embedded' && old.state !== 'settled';
      if (!isByHand || old.state === 'failed' || old.state === 'cancelled') throw conflict(old);
      if (await withTransaction(tx, old.network, transaction)) {
        throw wrongTransaction('used', 'it paid another payout');
      }
      await audit(tx, {
        actor,
        action: 'payout.sent',
        target: id,
        reason,
        detail: { transaction, before: old.transaction_id },
      });
      return updatePayout(tx, id, {
        state: 'sent',
        method: 'manual',
        transaction_id: transaction,
        sent_at: tx.nowMs,
        looks: 0,
        reason: null,
        next_check_at: tx.nowMs,
      });
    });
    return this.#begin(row);
  }

  /**
   * Gives the money back to the account. Refused (state_conflict) once a transfer of ours is on its way: only the chain ends that. One
   * sent by hand ends here only while the chain does not show it.
   */
  async cancel(by: Operator, id: string, reason: string): Promise<PayoutRow> {
    const actor = operatorName(by);
    const { ledger } = this.#options;
    const seen = await requirePayout(ledger.read, id);
    if (seen.state === 'sent' && seen.method === 'manual') {
      const evidence = await this.#sender.look(seen);
      const isAbsent = evidence.state === 'unknown' && evidence.reason === 'not_found';
      if (!isAbsent && evidence.state !== 'failed') throw conflict(seen);
    }
    return ledger.write(async (tx) => {
      const row = await requirePayout(tx.db, id);
      if (row.state === 'cancelled') return row;
      const isByHand = row.state === 'sent' && row.method === 'manual';
      const isSame = row.transaction_id === seen.transaction_id;
      const mayEnd = row.state === 'requested' || row.state === 'approved' || isByHand;
      if (!mayEnd || !isSame) throw conflict(row);
      await audit(tx, { actor, action: 'payout.cancel', target: id, reason, detail: told(row) });
      return endPayout(tx, row, { state: 'cancelled', reason: 'cancelled' });
    });
  }

  /** Throws not_found, also for one of another account than the one given. */
  async get(id: string, accountId?: string | null): Promise<PayoutRow> {
    const row = await payoutById(this.#options.ledger.read, id);
    if (row && (accountId === undefined || row.account_id === accountId)) return row;
    throw new AppError('not_found', 'There is no such payout.');
  }

  /** Newest first, those before `before` when given. */
  list(filter: PayoutFilter): Promise<PayoutRow[]> {
    return listPayouts(this.#options.ledger.read, filter);
  }

  /** Takes up what an earlier process left, at once, and goes on by itself. */
  async start(): Promise<void> {
    await this.#options.ledger.write(({ db, nowMs }) =>
      db
        .updateTable('payouts')
        .set({ next_check_at: nowMs })
        .where('next_check_at', '>', nowMs)
        .where('state', 'in', ['approved', 'sent'])
        .execute(),
    );
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), SWEEP_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#reading;
    await this.#sender.inFlight.idle(STOP_WITHIN_MS);
  }

  #beat(): void {
    this.#reading ??= this.#start()
      .catch((error: unknown) => this.#options.log.error('payouts_not_looked_at', { error }))
      .finally(() => {
        this.#reading = null;
      });
  }

  /** Looks at the payouts that are due, and waits for what comes of it; answers how many. */
  async reconcile(): Promise<number> {
    const begun = await this.#start();
    await Promise.all(begun);
    return begun.length;
  }

  /** One that takes its time holds up nobody but those of its network. */
  async #start(): Promise<Promise<unknown>[]> {
    const { ledger, clock } = this.#options;
    const due = await ledger.read
      .selectFrom('payouts')
      .selectAll()
      .where('next_check_at', '<=', clock.nowMs())
      .orderBy('next_check_at')
      .limit(MAX_PER_SWEEP)
      .execute();
    return due.flatMap((row) => this.#sender.advance(row) ?? []);
  }

  async #begin(row: PayoutRow): Promise<PayoutRow> {
    if (row.next_check_at === null) return row;
    const running = this.#sender.advance(row);
    const now = running && (await within(running, ANSWER_WITHIN_MS));
    return now ?? requirePayout(this.#options.ledger.read, row.id);
  }
}

function told({ account_id, network, recipient, amount, method }: PayoutRow) {
  return { account_id, network, recipient, usd: formatUsd(nanoUsd(amount)), method };
}
