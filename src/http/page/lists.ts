/** Lists on pages: a page of rows by cursor, what is searched for in the address. */
import { html, type Html, type Piece } from './html.ts';
import type { PageCall } from './page.ts';

/** Rows of a page. */
export const ROWS = 50;

const ID = /^\w{1,64}$/;
const NUMBER = /^\d{1,15}$/;

/** Of a list of the domain: one row more than is shown says that there is another page. */
export function pageOf(call: PageCall, cursor = ID): { limit: number; before?: string } {
  const before = call.query.get('before') ?? '';
  return { limit: ROWS + 1, ...(cursor.test(before) && { before }) };
}

/** For lists in the order of a number. */
export function numberedPageOf(call: PageCall): { limit: number; before?: string } {
  return pageOf(call, NUMBER);
}

/** The rows to show, and where the next ones are. */
export function cut<Row>(
  { ctx, query }: PageCall,
  rows: readonly Row[],
  cursorOf: (row: Row) => string | number,
): { rows: Row[]; next: string | null } {
  const shown = rows.slice(0, ROWS);
  const last = shown.at(-1);
  if (rows.length <= ROWS || last === undefined) return { rows: shown, next: null };
  const next = new URLSearchParams(query);
  next.delete('notice');
  next.set('before', String(cursorOf(last)));
  return { rows: shown, next: `${ctx.path}?${next}` };
}

/** What the address says, where it is one of these. */
export function chosen<Choice extends string>(
  { query }: PageCall,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const value = query.get(name);
  return choices.find((choice) => choice === value);
}

/** Text of the address; undefined for none. */
export function sought({ query }: PageCall, name: string): string | undefined {
  return query.get(name)?.trim().slice(0, 100) || undefined;
}

/** A form that only looks for something. */
export function search(path: string, fields: Piece): Html {
  return html`<form class="row card" method="get" action="${path}">
    ${fields}
    <button class="quiet">Show</button>
  </form>`;
}

/** `Any`, then the words themselves. */
export function anyOf(choices: readonly string[]): [string, string][] {
  return [['', 'Any'], ...choices.map((choice): [string, string] => [choice, choice])];
}

/** An id that leads to its page. Of long ones the end is shown: their beginnings are a time, and alike. */
export function link(path: string, id: string | null, text = short(id ?? '')): Piece {
  return id === null ? '–' : html`<a class="mono" href="${path}/${id}" title="${id}">${text}</a>`;
}

function short(id: string): string {
  return id.length > 20 ? `${id.slice(0, id.indexOf('_') + 1)}…${id.slice(-8)}` : id;
}
