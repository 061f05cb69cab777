/** What wants an operator's eye: each with the page where it is looked into. Every question is answered by an index, a bound, or memory. */
import type { Kysely, SelectQueryBuilder } from 'kysely';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { Mode } from '../config/config.ts';
import type { Tables } from '../db/tables.ts';
import { checkDisk } from '../doctor/machine.ts';
import { SYSTEM } from '../ledger/operations.ts';
import { keptFor } from '../metrics/kept.ts';
import { openByNetwork, openInWords } from '../payments/networks.ts';
import type { CostDrift } from '../routing/drift.ts';
import type { Routing } from '../routing/routing.ts';
import type { ChannelSwitches } from './channels.ts';
import type { Upkeep } from './upkeep.ts';

export interface Concern {
  tone: 'warn' | 'bad';
  text: string;
  /** Path of a page. */
  to: string;
}

export interface AttentionOptions {
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  rails: Rails;
  switches: ChannelSwitches;
  routing: Routing;
  drift: CostDrift;
  upkeep: Upkeep;
  dataDir: string;
  mode: Mode;
  clock: Clock;
}

const KEPT_MS = 5_000;
const DAY_MS = 86_400_000;
/** What takes longer than that does not end by itself. */
const STUCK_MS = 10 * 60_000;
/** Counted up to that many. */
const MOST = 100;
const MOST_DRIFT = 0.05;
const HOUR_MS = 3_600_000;
/** Times that one was due since, and none was made. */
const OLD_BACKUPS = 2;
const MONTH_MS = 30 * DAY_MS;
const PAYOUTS = [
  ['requested', 'warn', 'Wallets that want their money back'],
  ['approved', 'warn', 'Payouts that are approved and not sent'],
  ['failed', 'bad', 'Payouts that failed this month'],
  ['reversed', 'bad', 'Payouts that were reversed this month'],
] as const;

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
      ...this.#upkeep(),
      ...(await this.#gone()),
      ...(await this.#money()),
      ...(await this.#work()),
      ...(await this.#disk()),
    ];
    return found.toSorted((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
  }

  /** Rails and channels, which are known without asking anybody. */
  #ways(): Concern[] {
    const { rails, routing, switches, drift, mode } = this.#options;
    const found: Concern[] = [];
    const say = (tone: Concern['tone'], text: string, to: string) => found.push({ tone, text, to });
    for (const rail of rails.list()) {
      const { canSettle, problem, gasLow } = rail.status();
      const { network } = rail;
      if (!canSettle) say('bad', `No payments on ${network}: ${problem}`, '/admin/payments');
      if (gasLow) say('warn', `Gas runs low on ${network}: ${gasLow}`, '/admin/payments');
    }
    if (mode === 'live' && !rails.list().length)
      say('bad', 'Nobody can pay yet: no network is set up', '/admin/setup');
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

  /** The books, and the copies of them. */
  #upkeep(): Concern[] {
    const found: Concern[] = [];
    const say = (tone: Concern['tone'], text: string) =>
      found.push({ tone, text, to: '/admin/settings' });
    const { upkeep, clock } = this.#options;
    const [backups, books] = [upkeep.backups(), upkeep.books()];
    if (books && books.faults > 0) {
      const first = `the first: ${books.first ?? 'unknown'}`;
      say('bad', `The books do not add up, ${books.faults} faults, ${first}. Stop selling`);
    }
    if (books?.problem) say('warn', `The books could not be checked: ${books.problem}`);
    if (!backups || backups.everyMs === 0) return found;
    const { everyMs, lastAtMs, problem } = backups;
    if (problem !== null) say('bad', `The last backup failed: ${problem}`);
    const ageMs = lastAtMs === null ? 0 : clock.nowMs() - lastAtMs;
    if (ageMs > OLD_BACKUPS * everyMs)
      say('bad', `The newest backup is ${Math.floor(ageMs / HOUR_MS)} hours old`);
    return found;
  }

  async #money(): Promise<Concern[]> {
    const { reports: db, clock } = this.#options;
    const nowMs = clock.nowMs();
    const lost = db
      .selectFrom('payments')
      .select('id')
      .where('next_check_at', 'is not', null)
      .where('state', '=', 'submitted')
      .where('submitted_at', '<', nowMs - STUCK_MS);
    const reversed = db
      .selectFrom('payments')
      .select('id')
      .where('state', '=', 'reversed')
      .where('created_at', '>', nowMs - MONTH_MS);
    const exposed = db.selectFrom('payments').select('id').where('is_exposed', '=', 1);
    const frozen = db.selectFrom('accounts').select('id').where('state', '=', 'frozen');
    const short = db
      .selectFrom('entries')
      .select(['seq as id', 'at'])
      .where('debit_account', '=', SYSTEM.shortfall)
      .orderBy('seq', 'desc');
    const payments = '/admin/payments?state=';
    return [
      ...(await concern('bad', 'Payments sent and not seen on chain', lost, {
        to: `${payments}submitted`,
      })),
      ...(await concern('bad', 'Payments that the chain took back this month', reversed, {
        to: `${payments}reversed`,
      })),
      ...(await concern('warn', 'Payments credited on a facilitator’s word alone', exposed, {
        to: `${payments}settled`,
      })),
      ...(await this.#payouts(nowMs)),
      ...(await concern('warn', 'Frozen accounts', frozen, { to: '/admin/accounts?state=frozen' })),
      ...(await concern('warn', 'Answers of the last day that cost more than was held', short, {
        to: '/admin/usage',
        sinceMs: nowMs - DAY_MS,
      })),
    ];
  }

  /** Networks that are not set up any more, with something open on them. */
  async #gone(): Promise<Concern[]> {
    const { rails, reports } = this.#options;
    const open = (await openByNetwork(reports)).filter(({ network }) => !rails.get(network));
    return open.map((one): Concern => {
      const { network, payments } = one;
      const what = `${network} is not set up any more, with ${openInWords(one)} open there`;
      const to = payments ? '/admin/payments?state=submitted' : '/admin/payouts?state=sent';
      return rails.toLook(network)?.canLookUp
        ? { tone: 'warn', text: `${what}: looked for until it is known what became of them`, to }
        : { tone: 'bad', text: `${what}: nobody looks for them. Set it up again`, to };
    });
  }

  async #payouts(nowMs: number): Promise<Concern[]> {
    const found: Concern[] = [];
    for (const [state, tone, what] of PAYOUTS) {
      const rows = this.#options.reports
        .selectFrom('payouts')
        .select('id')
        .where('state', '=', state)
        .where('created_at', '>', nowMs - MONTH_MS);
      found.push(...(await concern(tone, what, rows, { to: `/admin/payouts?state=${state}` })));
    }
    return found;
  }

  async #work(): Promise<Concern[]> {
    const { reports: db, clock } = this.#options;
    const nowMs = clock.nowMs();
    const since = nowMs - STUCK_MS;
    const stuck = db
      .selectFrom('tasks')
      .select('id')
      .where('next_at', 'is not', null)
      .where((eb) => eb.or([eb('troubled_since', '<', since), eb('next_at', '<', since)]));
    const failed = db
      .selectFrom('webhook_deliveries')
      .select(['id', 'created_at as at'])
      .where('state', '=', 'failed')
      .orderBy('id', 'desc');
    const webhooks = 'Webhooks of the last day that were given up';
    return [
      ...(await concern('bad', 'Tasks that are stuck', stuck, {
        to: '/admin/tasks?state=processing',
      })),
      ...(await concern('warn', webhooks, failed, {
        to: '/admin/webhooks?state=failed',
        sinceMs: nowMs - DAY_MS,
      })),
    ];
  }

  async #disk(): Promise<Concern[]> {
    const { state, message } = await checkDisk(this.#options.dataDir);
    return state === 'good' ? [] : [{ tone: state, text: message, to: '/admin/settings' }];
  }
}

/** `at`: of rows that count only while they are new. They come newest first, so that the old ones are never read. */
type Rows = SelectQueryBuilder<Tables, keyof Tables, { id: string | number; at?: number }>;

/** None where there are no such rows. */
async function concern(
  tone: Concern['tone'],
  what: string,
  rows: Rows,
  { to, sinceMs = 0 }: { to: string; sinceMs?: number },
): Promise<Concern[]> {
  const found = await rows.limit(MOST).execute();
  const { length } = found.filter(({ at = Infinity }) => at > sinceMs);
  const count = length >= MOST ? `${MOST} or more` : String(length);
  return length ? [{ tone, text: `${what}: ${count}`, to }] : [];
}
