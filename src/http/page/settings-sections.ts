/** Settings as tables: names as the settings file spells them, one card a section, what is long folded. */
import { html, type Html, type Piece } from './html.ts';
import { facts } from './pieces.ts';

type Described = Readonly<Record<string, unknown>>;
type Line = readonly [name: string, value: Piece];

/** Shown above the sections, or nothing that anybody set. */
const ELSEWHERE = new Set(['origin']);
/** Lines; longer sections are folded. */
const MOST_SHOWN = 24;

/** `described`: of describeConfig, without secrets. */
export function settingsSections(described: Described): Html[] {
  const single: Line[] = [];
  const cards: Html[] = [];
  for (const [name, value] of Object.entries(described)) {
    if (ELSEWHERE.has(name)) continue;
    if (isObject(value) || isListOfObjects(value)) cards.push(card(spelled(name), value));
    else single.push([spelled(name), shown(value)]);
  }
  return [html`<div class="card">${facts(single)}</div>`, ...cards];
}

function card(name: string, value: Described | readonly Described[]): Html {
  if (isListOfObjects(value)) return list(name, value);
  const lines = linesOf(value);
  const nested = nestedOf(value);
  return html`<details class="card" ${lines.length <= MOST_SHOWN && html` open`}>
    <summary><h2>${name}</h2></summary>
    ${lines.length > 0 && facts(lines)} ${nested.map(([inner, items]) => list(inner, items))}
  </details>`;
}

function list(name: string, items: readonly Described[]): Html {
  return html`<details class="card">
    <summary><h2>${name} (${items.length})</h2></summary>
    ${items.map(
      (item, at) =>
        html`<details>
          <summary>${titleOf(item) ?? `${name} ${at + 1}`}</summary>
          ${facts(linesOf(item))} ${nestedOf(item).map(([inner, rows]) => list(inner, rows))}
        </details>`,
    )}
  </details>`;
}

/** What a list's item is called by. */
function titleOf({ id, network, name }: Described): string | null {
  const title = id ?? network ?? name;
  return typeof title === 'string' ? title : null;
}

/** Scalars of an object and of those in it, by their dotted path. */
function linesOf(object: Described, path = ''): Line[] {
  return Object.entries(object).flatMap(([name, value]): Line[] => {
    const at = path + spelled(name);
    if (isObject(value)) return linesOf(value, `${at}.`);
    return isListOfObjects(value) ? [] : [[at, shown(value)]];
  });
}

/** Lists of objects, wherever they are. */
function nestedOf(object: Described, path = ''): [string, readonly Described[]][] {
  return Object.entries(object).flatMap(([name, value]): [string, readonly Described[]][] => {
    const at = path + spelled(name);
    if (isListOfObjects(value)) return [[at, value]];
    return isObject(value) ? nestedOf(value, `${at}.`) : [];
  });
}

function shown(value: unknown): Piece {
  if (value === null || value === undefined || value === '') return '–';
  if (Array.isArray(value)) return value.length ? value.map(String).join(', ') : 'none';
  return html`<code>${typeof value === 'string' ? value : JSON.stringify(value)}</code>`;
}

function spelled(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isObject(value: unknown): value is Described {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfObjects(value: unknown): value is readonly Described[] {
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}
