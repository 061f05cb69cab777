/** What an account's webhooks are signed with: one secret, and for a day after a change the one before, sealed in their row. */
import type { Log } from '../log.ts';
import type { Ledger, WriteTx } from '../ledger/ledger.ts';
import type { SecretBox } from '../secrets.ts';
import { audit } from '../audit.ts';
import { newSecret } from './signature.ts';

export interface WebhookSecretsOptions {
  ledger: Ledger;
  box: SecretBox;
  log: Log;
}

export interface WebhookSecret {
  secret: string;
  createdAt: number;
  /** Until when deliveries carry a second signature, by the secret before; null without one. */
  previousUntil: number | null;
}

const OVERLAP_MS = 86_400_000;

export class WebhookSecrets {
  readonly #options: WebhookSecretsOptions;

  constructor(options: WebhookSecretsOptions) {
    this.#options = options;
  }

  /** Made when it is first asked for. */
  async read(accountId: string, nowMs: number): Promise<WebhookSecret> {
    const row = await this.#row(accountId);
    const secret = row && this.#open(accountId, row.sealed);
    if (!row || secret === null || secret === undefined) return this.#make(accountId);
    const isOver = row.previous_until === null || row.previous_until <= nowMs;
    return { secret, createdAt: row.created_at, previousUntil: isOver ? null : row.previous_until };
  }

  /** To sign with, the newest first. */
  async toSign(accountId: string, nowMs: number): Promise<string[]> {
    const { secret, previousUntil } = await this.read(accountId, nowMs);
    if (previousUntil === null) return [secret];
    const sealed = (await this.#row(accountId))?.previous ?? null;
    const previous = sealed === null ? null : this.#open(accountId, sealed);
    return previous === null ? [secret] : [secret, previous];
  }

  /** Two changes within a day leave the first secret of the three without a signature. */
  async rotate(accountId: string, actor: string): Promise<WebhookSecret> {
    const { nowMs, secret } = await this.#options.ledger.write(async (tx) => {
      const old = await rowOf(tx.db, accountId);
      const made = await this.#write(tx, accountId, old?.sealed ?? null);
      await audit(tx, { actor, action: 'webhook_secret.rotate', target: accountId });
      return { nowMs: tx.nowMs, secret: made };
    });
    const { previous_until: previousUntil = null } = (await this.#row(accountId)) ?? {};
    return { secret, createdAt: nowMs, previousUntil };
  }

  /** Also where the one that is there cannot be opened any more. */
  #make(accountId: string): Promise<WebhookSecret> {
    return this.#options.ledger.write(async (tx) => {
      const row = await rowOf(tx.db, accountId);
      const known = row && this.#open(accountId, row.sealed);
      if (row && known !== null && known !== undefined) {
        return { secret: known, createdAt: row.created_at, previousUntil: row.previous_until };
      }
      if (row) this.#options.log.warn('webhook_secret_lost', { account: accountId });
      const secret = await this.#write(tx, accountId, null);
      return { secret, createdAt: tx.nowMs, previousUntil: null };
    });
  }

  async #write(
    { db, nowMs }: WriteTx,
    accountId: string,
    previous: string | null,
  ): Promise<string> {
    const secret = newSecret();
    const values = {
      sealed: this.#options.box.seal(placeOf(accountId), secret),
      previous,
      previous_until: previous === null ? null : nowMs + OVERLAP_MS,
      created_at: nowMs,
    };
    await db
      .insertInto('webhook_secrets')
      .values({ account_id: accountId, ...values })
      .onConflict((conflict) => conflict.column('account_id').doUpdateSet(values))
      .execute();
    return secret;
  }

  #row(accountId: string) {
    return rowOf(this.#options.ledger.read, accountId);
  }

  #open(accountId: string, sealed: string): string | null {
    try {
      return this.#options.box.open(placeOf(accountId), sealed);
    } catch {
      return null;
    }
  }
}

function rowOf(db: WriteTx['db'], accountId: string) {
  return db
    .selectFrom('webhook_secrets')
    .selectAll()
    .where('account_id', '=', accountId)
    .executeTakeFirst();
}

function placeOf(accountId: string): string {
  return `webhook_secrets/${accountId}`;
}
