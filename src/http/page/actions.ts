/** Forms do what the operator's API does: the same operation, so the same rights, checks, confirmations and log of changes. */
import { randomUUID } from 'node:crypto';
import { principalName } from '../../auth/principal.ts';
import { AppError } from '../../errors.ts';
import { Run } from '../../idempotency/run.ts';
import { keptAnswer } from '../idempotent.ts';
import { checked, type Operation } from '../operation.ts';
import { html, type Html, type Piece } from './html.ts';
import { goneSignal } from '../request.ts';
import { form, type FormAnswer, type PageCall, type PageOptions } from './page.ts';
import { field } from './pieces.ts';

/** Of a form's own id: ours have 36 characters. */
const MAX_ONCE = 100;

/** A form that changes something. `confirm`: asked before it is sent. */
export function post(
  { session }: PageCall,
  to: string,
  fields: Piece,
  {
    button,
    confirm,
    tone = '',
  }: { button: string; confirm?: string; tone?: 'danger' | 'quiet' | '' },
): Html {
  return html`<form method="post" action="${to}" ${confirm && html` data-confirm="${confirm}"`}>
    <input type="hidden" name="csrf" value="${session.csrf}" />
    <input type="hidden" name="once" value="${randomUUID()}" />
    ${fields} <button class="${tone}">${button}</button>
  </form>`;
}

/** Why somebody does it: every change says so. */
export function reasonField(of: string): Html {
  return field('Reason', 'reason', { of, isRequired: true });
}

export interface Action {
  operation: Operation;
  /** What the form's fields stand for; by default themselves, empty ones left out. */
  fields?(form: URLSearchParams): Record<string, unknown>;
  /** Where to go next, or what to show. */
  done(answer: unknown, call: PageCall): FormAnswer;
}

export function act(options: PageOptions, { operation, fields = said, done }: Action) {
  return form(options, async (call) => {
    const once = call.form.get('once');
    call.form.delete('once');
    const asked = fields(call.form);
    const isOnce = operation.mints && once !== null;
    const work = isOnce
      ? runOnce(options, operation, call, { once, asked })
      : run(operation, call, asked);
    return done(await work, call);
  });
}

/** What makes something is made once by one form, however often it is sent: as with an Idempotency-Key at the API. */
async function runOnce(
  { idempotency }: PageOptions,
  operation: Operation,
  call: PageCall,
  { once, asked }: { once: string; asked: Record<string, unknown> },
): Promise<unknown> {
  const { operator, ctx } = call;
  const begun = await idempotency.begin({
    principal: principalName(operator),
    key: `form ${once.slice(0, MAX_ONCE)}`,
    method: ctx.method,
    path: ctx.url,
    body: Buffer.from(JSON.stringify(asked)),
    requestId: ctx.state.requestId,
    isPaid: false,
    headers: () => ({}),
    signal: goneSignal(ctx.res),
  });
  if (!(begun instanceof Run)) return JSON.parse(begun.body.toString()) as unknown;
  let answer: unknown;
  await begun.during(async () => {
    answer = await run(operation, call, asked);
    await begun.made(keptAnswer(operation.status ?? 200, answer));
  });
  return answer;
}

/** Runs an operation for whoever is signed in here. */
export function run(
  { body, query, run: answer }: Operation,
  { operator, params, ctx }: PageCall,
  fields: Record<string, unknown>,
): Promise<unknown> {
  return answer({
    principal: operator,
    params,
    body: body && checked(body, fields, 'body'),
    query: query && checked(query, fields, 'query'),
    requestId: ctx.state.requestId,
    ctx,
  });
}

/** The fields that say something. */
export function said(form: URLSearchParams): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of form) {
    if (name !== 'csrf' && value.trim() !== '') fields[name] = value.trim();
  }
  return fields;
}

/** An id in the path of a page. */
export function idOf({ params }: PageCall): string {
  const id = params['id'] ?? '';
  if (!/^[\w:.-]{1,128}$/.test(id)) throw new AppError('not_found', 'There is no such page.');
  return id;
}
