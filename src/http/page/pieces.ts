/** Pieces that many pages are made of. */
import { KNOWN_NETWORKS } from '../../chains/networks.ts';
import { formatBigUsd, formatUsd, type NanoUsd, nanoUsd } from '../../money.ts';
import { html, type Html, type Piece } from './html.ts';

export interface Column<Row> {
  title: string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
  cell(row: Row): Piece;
}

/** `next`: where the rows after these are; null at the end. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { empty, next = null }: { empty: string; next?: string | null },
): Html {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  const classOf = ({ isNumber }: Column<Row>) => (isNumber ? html` class="number"` : '');
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table">
      <table>
        <thead>
          <tr>
            ${columns.map((column) => html`<th scope="col" ${classOf(column)}>${column.title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                ${columns.map((column) => html`<td ${classOf(column)}>${column.cell(row)}</td>`)}
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
    ${next !== null && html`<p><a class="more" href="${next}">Next page</a></p>`}`;
}

/** What is known of one thing, line by line. */
export function facts(lines: readonly (readonly [name: string, value: Piece])[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Facts">
    <table class="facts">
      <tbody>
        ${lines.map(
          ([name, value]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A figure with its name, on overview pages. */
export function figure(name: string, value: Piece, note: Piece = null): Html {
  return html`<div class="figure">
    <dt>${name}</dt>
    <dd>${value}${note ? html`<small>${note}</small>` : ''}</dd>
  </div>`;
}

export function usd(amount: number): string {
  const text = formatUsd(nanoUsd(Math.abs(amount)) as NanoUsd);
  return `${amount < 0 ? '-' : ''}$${inThousands(text)}`;
}

/** Of sums that may be beyond what one account can hold. */
export function dollars(nano: bigint): string {
  const text = formatBigUsd(nano);
  return text.startsWith('-') ? `-$${inThousands(text.slice(1))}` : `$${inThousands(text)}`;
}

function inThousands(text: string): string {
  const [whole = '', ...rest] = text.split('.');
  return [whole.replace(/\B(?=(\d{3})+$)/g, ','), ...rest].join('.');
}

/** As people call it; unknown ones by their CAIP-2 id, of which Solana's are a hash. */
export function networkTitle(network: string): string {
  const title = KNOWN_NETWORKS.get(network)?.title;
  return title ?? (network.length > 20 ? `${network.slice(0, 14)}…` : network);
}

/** Machine-readable; the page's script shows it in the reader's own time. */
export function time(ms: number | null): Piece {
  if (ms === null) return '–';
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`;
}

/** A word for a state, with a colour that says the same. */
export function badge(word: string, tone: 'good' | 'bad' | 'warn' | 'plain' = 'plain'): Html {
  return html`<span class="badge ${tone}">${word}</span>`;
}

/** `of`: the form that it is in, where a page has several. */
export function field(
  label: string,
  name: string,
  {
    type = 'text',
    value = '',
    hint = null,
    isRequired = false,
    of = 'f',
  }: { type?: string; value?: string; hint?: Piece; isRequired?: boolean; of?: string } = {},
): Html {
  const id = `${of}-${name}`;
  return html`<div class="field">
    <label for="${id}">${label}</label>
    <input
      id="${id}"
      name="${name}"
      type="${type}"
      value="${value}"
      autocomplete="off"
      ${isRequired && html` required`}
      ${hint && html` aria-describedby="${id}-hint"`}
    />
    ${hint && html`<small id="${id}-hint">${hint}</small>`}
  </div>`;
}

/** One of a few, each with a line that explains it. */
export function choices(
  title: string,
  name: string,
  options: readonly (readonly [value: string, text: string, explained: string])[],
  value: string,
): Html {
  return html`<fieldset class="field choices">
    <legend>${title}</legend>
    ${options.map(([choice, text, explained]) => {
      const id = `f-${name}-${choice}`;
      return html`<div>
        <input
          type="radio"
          id="${id}"
          name="${name}"
          value="${choice}"
          ${choice === value && html` checked`}
          aria-describedby="${id}-hint"
        />
        <label for="${id}">${text}</label>
        <small id="${id}-hint">${explained}</small>
      </div>`;
    })}
  </fieldset>`;
}

export function select(
  label: string,
  name: string,
  options: readonly (readonly [value: string, text: string])[],
  value = '',
  of = 'f',
): Html {
  const id = `${of}-${name}`;
  return html`<div class="field">
    <label for="${id}">${label}</label>
    <select id="${id}" name="${name}">
      ${options.map(
        ([choice, text]) =>
          html`<option value="${choice}" ${choice === value && html` selected`}>${text}</option>`,
      )}
    </select>
  </div>`;
}
