/** Forms do what the operator's API does: the same operation, so the same rights, checks, confirmations and log of changes. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { checked, type Operation } from '../operation.ts';
import { html, type Html, type Piece } from './html.ts';
import { form, type FormAnswer, type PageCall, type PageOptions } from './page.ts';
import { field } from './pieces.ts';

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
  return form(options, async (call) => done(await run(operation, call, fields(call.form)), call));
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
