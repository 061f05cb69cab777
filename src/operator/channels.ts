/** Channels on and off: kept in the database, in force from the next request on, also after a restart. */
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import type { ChannelSwitchRow } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';

export class ChannelSwitches {
  readonly #ledger: Ledger;
  readonly #off = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Reads what an earlier process was told. */
  async load(): Promise<void> {
    const rows = await this.all();
    for (const [id, { is_on: isOn }] of rows) if (!isOn) this.#off.add(id);
  }

  isOff(channelId: string): boolean {
    return this.#off.has(channelId);
  }

  /** Those that were ever switched, by channel. */
  async all(): Promise<Map<string, ChannelSwitchRow>> {
    const rows = await this.#ledger.read.selectFrom('channel_switches').selectAll().execute();
    return new Map(rows.map((row) => [row.channel_id, row]));
  }

  /** The channel must be one that there is: whoever calls has looked. */
  async set(
    by: Operator,
    channelId: string,
    { isOn, reason }: { isOn: boolean; reason: string },
  ): Promise<void> {
    const actor = operatorName(by);
    await this.#ledger.write(async (tx) => {
      const row = { channel_id: channelId, is_on: isOn ? 1 : 0, actor, reason, at: tx.nowMs };
      await tx.db
        .insertInto('channel_switches')
        .values(row)
        .onConflict((conflict) => conflict.column('channel_id').doUpdateSet(row))
        .execute();
      const action = isOn ? 'channel.on' : 'channel.off';
      await audit(tx, { actor, action, target: channelId, reason });
    });
    // Writes answer in the order that they were made in, so memory ends as the disk does.
    if (isOn) this.#off.delete(channelId);
    else this.#off.add(channelId);
  }
}
