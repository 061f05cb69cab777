/**
 * After a restore: the database knows nothing of payments that were made since its backup, but the chain does. They are read there and
 * each is credited once, under the identity that its payer signed; the same payment sent again is then answered as credited.
 */
import type { FoundPayment } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd, fromUsdcUnits } from '../money.ts';
import type { SecretBox } from '../secrets.ts';
import { credit } from './outcome.ts';
import { findPayment, takeIn } from './rows.ts';

/** In `meta`, by network: Unix ms from which on its payments have to be read again. */
export const REREAD_PREFIX = 'reread ';

export interface RereadOptions {
  ledger: Ledger;
  config: PaymentsConfig;
  log: Log;
  box: SecretBox;
  rails: Rails;
}

/** A chain that could not be read is asked again. */
const RETRY_MS = 60_000;

/** Reads what a restore asked for, network by network, until all of it is read. */
export class Reread {
  readonly #options: RereadOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: RereadOptions) {
    this.#options = options;
  }

  /** Returns at once; nearly always there is nothing to read. */
  async start(): Promise<void> {
    if ((await this.#due()).length) this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    let left = 0;
    try {
      for (const { key, value } of await this.#due()) {
        if (!(await this.#readOne(key, Number(value)))) left++;
      }
    } catch (error) {
      left++;
      this.#options.log.error('payments_not_reread', { error });
    }
    if (left === 0 || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, RETRY_MS);
    this.#timer.unref();
  }

  #due(): Promise<{ key: string; value: string }[]> {
    return this.#options.ledger.read
      .selectFrom('meta')
      .selectAll()
      .where('key', 'like', `${REREAD_PREFIX}%`)
      .execute();
  }

  /** Whether it was read to its end. */
  async #readOne(key: string, sinceMs: number): Promise<boolean> {
    const { ledger, log, rails } = this.#options;
    const network = key.slice(REREAD_PREFIX.length);
    const rail = rails.toLook(network);
    try {
      if (!rail?.paymentsSince) throw new Error('there is no chain to read on this network');
      const credited = await readNetwork(this.#options, rail.paymentsSince(sinceMs));
      await ledger.write(({ db }) => db.deleteFrom('meta').where('key', '=', key).execute());
      log.info('payments_reread', { network, since: new Date(sinceMs).toISOString(), credited });
      return true;
    } catch (error) {
      log.error('payments_not_reread', { network, error });
      return false;
    }
  }
}

async function readNetwork(
  options: RereadOptions,
  payments: AsyncIterable<FoundPayment>,
): Promise<number> {
  let credited = 0;
  for await (const found of payments) if (await take(options, found)) credited++;
  return credited;
}

/** Whether it was credited now; one that the ledger knows takes its usual way. */
async function take(
  { ledger, config, box, log }: RereadOptions,
  { payment, evidence }: FoundPayment,
): Promise<boolean> {
  if (await findPayment(ledger.read, payment)) return false;
  const came = { dialect: 'chain', claim: null, identifier: null };
  const row = await ledger.write(async (tx) => {
    const taken = await takeIn(tx.db, box, payment, came, tx.nowMs);
    return taken.state === 'received' ? credit(tx, taken, evidence, config) : null;
  });
  if (row?.state !== 'settled') return false;
  const { id, network, payer, units, transaction_id: transaction } = row;
  const usd = formatUsd(fromUsdcUnits(BigInt(units)));
  log.warn('payment_found_on_chain', { payment: id, network, payer, usd, transaction });
  return true;
}
