/** A task is made: its price agreed, the most that it can cost set aside, and its row written, all or nothing. */
import { type Principal, principalName } from '../auth/principal.ts';
import type { MediaModel } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { groupsOf, type KeyRules } from '../keys/rules.ts';
import type { Hold, WriteTx } from '../ledger/ledger.ts';
import { ZERO_USD } from '../money.ts';
import { readAsked } from '../orders/asked.ts';
import { type OrderPlan, planOrder } from '../orders/plan.ts';
import { type ByokFee, feeOf } from '../pricing/byok.ts';
import type { Routing } from '../routing/routing.ts';
import { addEvent } from './events.ts';
import { laneOf } from './lanes.ts';
import { pricedJson } from './priced.ts';
import type { CreatedTask, NewTask, TaskKind } from './task.ts';
import { placeOf, type TaskTools } from './tools.ts';
import { viewOf } from './view.ts';
import { ownFee } from './ways.ts';

/** It ends with its task; no sweeper gives it back. */
const NEVER_MS = 100 * 365 * 86_400_000;
/** A task that no channel takes is given up after that. */
const MAX_QUEUED_MS = 24 * 60 * 60_000;
const RETRY_AFTER_SECONDS = 30;
const NO_KEYS: readonly string[] = [];
/** For Farebox alone; no upstream is sent them. */
const OWN_FIELDS = ['model', 'max_credits', 'quote_id', 'callback_url', 'modality'];

const KINDS: Record<NewTask['types'][number], TaskKind> = {
  image: 'image',
  image_edit: 'image',
  upscale: 'image',
  background_remove: 'image',
  music: 'music',
  sound: 'music',
  video: 'video',
};

export type Wanted = Pick<NewTask, 'model' | 'types' | 'fields' | 'maxCredits' | 'quoteId'>;

/** Errors: as planOrder's, and those of the fields. `rules`: of the keys that ask. */
export function planTask(
  tools: TaskTools,
  { model, types, fields, maxCredits, quoteId }: Wanted,
  rules: readonly KeyRules[],
): OrderPlan {
  const { type } = tools.catalogue.mediaEntry(model, ...types).model;
  const said = fields['quote_id'] ?? quoteId;
  if (said !== null && typeof said !== 'string') throw wrong('quote_id', 'must be text');
  return planOrder(
    tools,
    {
      model,
      types,
      asked: readAsked(type, fields),
      quoteId: said,
      maxCredits: [fields['max_credits'], maxCredits],
    },
    rules,
  );
}

export function rulesOf(principal: Principal): readonly KeyRules[] {
  return principal.kind === 'key' ? principal.rules : [];
}

export async function createTask(tools: TaskTools, call: NewTask): Promise<CreatedTask> {
  const { principal } = call;
  const rules = rulesOf(principal);
  const plan = planTask(tools, call, rules);
  const groups = groupsOf(rules);
  requireChannel(tools.routing, plan.entry.model, groups);
  const fee = await ownFee(tools, principal.accountId, plan.entry.model, groups);
  const callback = callbackOf(tools, call.fields, rules);
  const rate = await call.admit(principal, plan.entry.model, 0);
  // What is set aside is money, not tokens.
  rate.settle(0);
  if (principal.accountId === null) throw emptyWallet(plan);
  const agreed = { plan, groups, callback, fee, accountId: principal.accountId };
  const draft = draftOf(tools, call, agreed);
  let stored = (): void => {};
  const created = await tools.ledger
    .write(async (tx) => {
      const hold = await reserve(tx, call, agreed);
      const row = await insert(tx, draft, hold);
      const made = { task: viewOf(row, tools), hold };
      if (call.keep && call.answer) stored = await call.keep.madeIn(tx, call.answer(made));
      return made;
    })
    .catch((error: unknown) => {
      throw ofKey(principal, error);
    });
  stored();
  tools.bell.ring(created.task.accountId);
  return created;
}

type Draft = Omit<TaskRow, 'hold_id' | 'held' | 'created_at' | 'deadline_at'>;

interface Agreed {
  plan: OrderPlan;
  groups: readonly string[];
  callback: string | null;
  /** Where it goes over a key of its owner. */
  fee: ByokFee | null;
  accountId: string;
}

function draftOf(
  { box }: TaskTools,
  { principal, requestId, fields }: NewTask,
  { plan, groups, callback, fee, accountId }: Agreed,
): Draft {
  const id = newId('task');
  const { model, price } = plan.entry;
  const lane = laneOf({ model: model.id, groups, owner: fee && accountId });
  const sent = Object.entries(fields).filter(([name]) => !OWN_FIELDS.includes(name));
  return {
    id,
    account_id: accountId,
    key_id: principal.kind === 'key' ? principal.keyId : null,
    owner: principalName(principal),
    kind: KINDS[model.type as keyof typeof KINDS],
    type: model.type,
    model: model.id,
    request_id: requestId,
    lane,
    queue: lane,
    priority: 0,
    channel_id: null,
    upstream_model: null,
    tried: '[]',
    sealed: box.seal(placeOf({ id }, 'fields'), JSON.stringify(Object.fromEntries(sent))),
    callback: callback === null ? null : box.seal(placeOf({ id }, 'callback'), callback),
    priced: pricedJson(plan, fee),
    price_version: versionOf(price.version, fee),
    charged: 0,
    state: 'pending',
    submit: 'unsent',
    ...BLANK,
  };
}

const BLANK = {
  ref: null,
  progress: 0,
  queue_position: null,
  starts: 0,
  polls: 0,
  crashes: 0,
  troubled_since: null,
  lease_epoch: 0,
  next_at: null,
  error_code: null,
  error_message: null,
  measured: null,
  upstream_cost: null,
  started_at: null,
  ended_at: null,
};

async function insert(
  { db, nowMs }: WriteTx,
  draft: Draft,
  { id, amount }: Hold,
): Promise<TaskRow> {
  const row: TaskRow = {
    ...draft,
    hold_id: id,
    held: amount,
    created_at: nowMs,
    deadline_at: nowMs + MAX_QUEUED_MS,
  };
  await db.insertInto('tasks').values(row).execute();
  await addEvent({ db, nowMs }, row, 'created');
  return row;
}

function reserve(
  tx: WriteTx,
  { principal, requestId, minimumAvailable, keep }: NewTask,
  { plan, fee, accountId }: Agreed,
): Promise<Hold> {
  const isKey = principal.kind === 'key';
  const amount = fee ? feeOf(plan.ceiling, fee) : plan.ceiling;
  return tx.reserve({
    holdId: keep?.holdId,
    accountId,
    keyId: isKey ? principal.keyId : null,
    ancestors: isKey ? principal.ancestors : NO_KEYS,
    amount,
    // What costs nothing needs no balance.
    minimumAvailable: fee && amount === 0 ? ZERO_USD : minimumAvailable,
    purpose: 'task',
    model: plan.entry.model.id,
    requestId,
    priceVersion: versionOf(plan.entry.price.version, fee),
    ttlMs: NEVER_MS,
  });
}

function versionOf(version: string, fee: ByokFee | null): string {
  return fee ? `${version} byok ${fee.percent}% ${fee.perRequest}` : version;
}

/** A model that no channel of the caller's groups has is told at once; one whose channels are only out of order waits for them. */
function requireChannel(routing: Routing, { id, routes }: MediaModel, groups: readonly string[]) {
  const has = routing
    .channels()
    .some(
      (channel) =>
        groups.includes(channel.group) && routes.some((route) => route.channel === channel.id),
    );
  if (has) return;
  throw new AppError('no_channel', `No channel serves the model ${id} at the moment.`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function callbackOf(
  { webhooks }: TaskTools,
  fields: Record<string, unknown>,
  rules: readonly KeyRules[],
): string | null {
  const said =
    fields['callback_url'] ?? rules.find(({ callbackUrl }) => callbackUrl)?.callbackUrl ?? null;
  return said === null ? null : webhooks.requireCallback(said);
}

function emptyWallet({ ceiling }: OrderPlan): AppError {
  return new AppError(
    'insufficient_balance',
    'This wallet has no balance yet: the request needs a top-up first.',
    { details: { availableNano: ZERO_USD, neededNano: ceiling, ceilingNano: ceiling } },
  );
}

/** Only a wallet can cure a small balance by paying. */
function ofKey(principal: Principal, error: unknown): unknown {
  const isPoor = error instanceof AppError && error.code === 'insufficient_balance';
  if (principal.kind !== 'key' || !isPoor) return error;
  return new AppError('credit_exhausted', error.message, { details: error.details ?? {} });
}

function wrong(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}
