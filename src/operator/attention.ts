/** What wants an operator's eye: each with the page where it is looked into. Every question is answered by an index, a bound, or memory. */
import type { Kysely, SelectQueryBuilder } from 'kysely';
import type { Rail } from '../chains/chain.ts';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import { checkDisk } from '../doctor/machine.ts';
import { SYSTEM } from '../ledger/operations.ts';
import { keptFor } from '../metrics/kept.ts';
import type { CostDrift } from '../routing/drift.ts';
import type { Routing } from '../routing/routing.ts';
import type { ChannelSwitches } from './channels.ts';

export interface Concern {
  tone: 'warn' | 'bad';
  text: string;
  /** Path of a page. */
  to: string;
}

export interface AttentionOptions {
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  rails: Rail[];
  switches: ChannelSwitches;
  routing: Routing;
  drift: CostDrift;
  dataDir: string;
  clock: Clock;
}

const KEPT_MS = 5_000;
const DAY_MS = 86_400_000;
/** What takes longer than that does not end by itself. */
const STUCK_MS = 10 * 60_000;
/** Counted up to that many. */
const MOST = 100;
const MOST_DRIFT = 0.05;

export class Attention {
  readonly #options: AttentionOptions;
  /** What is wrong first. At most a few seconds old. */
  readonly list: () => Promise<Concern[]>;

  constructor(options: AttentionOptions) {
    this.#options = options;
    this.list = keptFor(options.clock, KEPT_MS, () => this.#read());
  }

  async #read(): Promise<Concern[]> {
    const found = [
      ...this.#ways(),
      ...(await this.#money()),
      ...(await this.#work()),
      ...(await this.#disk()),
    ];
    return found.toSorted((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
  }

  /** Rails and channels, which are known without asking anybody. */
  #ways(): Concern[] {
    const { rails, routing, switches, drift } = this.#options;
    const found: Concern[] = [];
    const say = (tone: Concern['tone'], text: string, to: string) => found.push({ tone, text, to });
    for (const rail of rails) {
      const { canSettle, problem } = rail.status();
      if (!canSettle) say('bad', `No payments on ${rail.network}: ${problem}`, '/admin/payments');
    }
    const channels = routing.channels();
    if (!channels.length) say('bad', 'Nothing is sold yet: set the server up', '/admin/setup');
    for (const { channel, model, state } of routing.health()) {
      if (state === 'open')
        say('bad', `${channel} fails for ${model} and is left out`, '/admin/channels');
    }
    for (const { id } of channels) {
      if (switches.isOff(id)) say('warn', `Channel ${id} is turned off`, '/admin/channels');
    }
    for (const [id, ratio] of drift.worst()) {
      if (Math.abs(ratio) <= MOST_DRIFT) continue;
      const percent = Math.round(ratio * 100);
      say('warn', `${id} costs ${percent} % off its rules: look at the prices`, '/admin/channels');
    }
    return found;
  }

  async #money(): Promise<Concern[]> {
    const { reports: db, clock } = this.#options;
    const nowMs = clock.nowMs();
    const found: Concern[] = [];
    const add = (count: number, tone: Concern['tone'], what: string, to: string) => {
      if (count > 0)
        found.push({ tone, text: `${count >= MOST ? `${MOST} or more` : count} ${what}`, to });
    };
    const open = db
      .selectFrom('payments')
      .select('id')
      .where('next_check_at', 'is not', null)
      .where('state', '=', 'submitted')
      .where('submitted_at', '<', nowMs - STUCK_MS);
    add(
      await counted(open),
      'bad',
      'payments sent and not seen on chain',
      '/admin/payments?state=submitted',
    );
    const exposed = db.selectFrom('payments').select('id').where('is_exposed', '=', 1);
    add(
      await counted(exposed),
      'warn',
      'payments credited on a facilitator’s word alone',
      '/admin/payments?state=settled',
    );
    const payouts = (state: 'requested' | 'approved' | 'failed' | 'reversed') =>
      counted(
        db
          .selectFrom('payouts')
          .select('id')
          .where('state', '=', state)
          .where('created_at', '>', nowMs - 30 * DAY_MS),
      );
    add(
      await payouts('requested'),
      'warn',
      'wallets want their money back',
      '/admin/payouts?state=requested',
    );
    add(
      await payouts('approved'),
      'warn',
      'payouts are approved and not sent',
      '/admin/payouts?state=approved',
    );
    add(await payouts('failed'), 'bad', 'payouts failed this month', '/admin/payouts?state=failed');
    add(
      await payouts('reversed'),
      'bad',
      'payouts were reversed this month',
      '/admin/payouts?state=reversed',
    );
    const frozen = db.selectFrom('accounts').select('id').where('state', '=', 'frozen');
    add(await counted(frozen), 'warn', 'accounts are frozen', '/admin/accounts?state=frozen');
    const short = db
      .selectFrom('entries')
      .select('seq as id')
      .where('debit_account', '=', SYSTEM.shortfall)
      .where('at', '>', nowMs - DAY_MS)
      .orderBy('seq', 'desc');
    add(
      await counted(short),
      'warn',
      'answers of the last day cost more than was held',
      '/admin/usage',
    );
    return found;
  }

  async #work(): Promise<Concern[]> {
    const { reports: db, clock } = this.#options;
    const nowMs = clock.nowMs();
    const tasks = await counted(
      db
        .selectFrom('tasks')
        .select('id')
        .where('next_at', 'is not', null)
        .where((eb) =>
          eb.or([
            eb('troubled_since', '<', nowMs - STUCK_MS),
            eb('next_at', '<', nowMs - STUCK_MS),
          ]),
        ),
    );
    const failed = await counted(
      db
        .selectFrom('webhook_deliveries')
        .select('id')
        .where('state', '=', 'failed')
        .where('created_at', '>', nowMs - DAY_MS)
        .orderBy('id', 'desc'),
    );
    return [
      ...(tasks
        ? [
            {
              tone: 'bad',
              text: `${tasks} tasks are stuck`,
              to: '/admin/tasks?state=processing',
            } as const,
          ]
        : []),
      ...(failed
        ? [
            {
              tone: 'warn',
              text: `${failed} webhooks of the last day were given up`,
              to: '/admin/webhooks?state=failed',
            } as const,
          ]
        : []),
    ];
  }

  async #disk(): Promise<Concern[]> {
    const { state, message } = await checkDisk(this.#options.dataDir);
    return state === 'good' ? [] : [{ tone: state, text: message, to: '/admin/settings' }];
  }
}

type Rows = SelectQueryBuilder<Tables, keyof Tables, { id: string | number }>;

/** Up to MOST. */
async function counted(rows: Rows): Promise<number> {
  return (await rows.limit(MOST).execute()).length;
}
