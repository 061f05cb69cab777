/** /admin/models: what is sold, at what price, over which channels; and what a request would cost. */
import { estimate, type Estimate } from '../../estimate.ts';
import type { Catalogue } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { formatUsd, type NanoUsd } from '../../money.ts';
import type { When } from '../../pricing/rules.ts';
import { post } from './actions.ts';
import { html, type Html, type Piece } from './html.ts';
import { anyOf, chosen, search, sought } from './lists.ts';
import { form, type Page, type PageCall, type PageOptions } from './page.ts';
import { field, figure, select, table } from './pieces.ts';

export interface ModelsOptions {
  catalogue: Catalogue;
  /** What one credit is worth. */
  creditUsd: NanoUsd;
}

const PATH = '/admin/models';
const EXAMPLE = { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 200 };
/** A catalogue is a file that somebody wrote; beyond that it is looked for by name. */
const MOST_SHOWN = 200;

export function modelsPage({ catalogue }: ModelsOptions): Page {
  return {
    title: 'Models and prices',
    path: PATH,
    run: async (call) => {
      const all = catalogue.models();
      const types = [...new Set(all.map(({ type }) => type))];
      const type = chosen(call, 'type', types);
      const name = sought(call, 'name') ?? '';
      const found = all.filter(
        (model) => model.id.includes(name) && (type === undefined || model.type === type),
      );
      return html`${search(
          PATH,
          html`${field('Name', 'name', { value: name })}
          ${select('Type', 'type', anyOf(types), type)}`,
        )}
        ${table(
          [
            { title: 'Model', cell: nameOf },
            { title: 'Type', cell: (model) => model.type },
            { title: 'Price', cell: priceLines },
            { title: 'Over', cell: ({ routes }) => lines(routes.map(routeText)) },
            { title: 'Tier', cell: ({ tier }) => tier ?? '–' },
          ],
          found.slice(0, MOST_SHOWN),
          { empty: 'No model is like that.' },
        )}
        ${found.length > MOST_SHOWN && html`<p>${found.length - MOST_SHOWN} more: look by name.</p>`}
        <h2>What would it cost?</h2>
        ${tryOut(call, JSON.stringify({ model: all[0]?.id ?? '', ...EXAMPLE }, null, 2))}`;
    },
  };
}

function nameOf({ id, name, aliases }: ModelConfig): Html {
  return html`<a href="/admin/models?name=${encodeURIComponent(id)}">${id}</a>
    ${name !== null && html`<br /><span class="soft">${name}</span>`}
    ${aliases.length > 0 && html`<br /><span class="soft">also ${aliases.join(', ')}</span>`}`;
}

function routeText({ channel, model }: ModelConfig['routes'][number]): Html {
  return html`<a href="/admin/channels#${channel}">${channel}</a> as ${model}`;
}

export function priceLines({ price }: ModelConfig): Piece {
  const { rules, markup } = price;
  const told = rules.map(({ unit, usd, per = 1, when }) => {
    const units = per === 1 ? unit : `${per.toLocaleString('en')} ${unit}s`;
    return html`$${usd} per ${units.replaceAll('_', ' ')} ${whenText(when)}`;
  });
  if (!told.length) return 'as the upstream says';
  return [lines(told), markup !== undefined && markup !== '1' && html`<br />times ${markup}`];
}

function whenText(when: When | undefined): Piece {
  if (when === undefined || !Object.keys(when).length) return null;
  const told = Object.entries(when).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return html`<span class="soft">(${told.join(', ')})</span>`;
}

function lines(pieces: readonly Piece[]): Piece {
  return pieces.map((piece, n) => [n > 0 && html`<br />`, piece]);
}

function tryOut(call: PageCall, body: string): Html {
  return post(
    call,
    `${PATH}/estimate`,
    html`<div class="field">
      <label for="f-body">A request, as JSON</label>
      <textarea id="f-body" name="body" rows="8" class="mono" spellcheck="false">${body}</textarea>
      <small
        >Any body of a route that sells, with its model. Nothing is sent and nothing is held.</small
      >
    </div>`,
    { button: 'Estimate' },
  );
}

/** POST /admin/models/estimate: with the very function of POST /v1/credits/estimate. */
export function estimateForm(options: PageOptions & ModelsOptions) {
  const { catalogue, creditUsd } = options;
  return form(options, async (call) => {
    const body = call.form.get('body') ?? '';
    const found = estimate(fieldsOf(body), catalogue, creditUsd);
    const main = html`${told(found)}
      <h2>Another one</h2>
      ${tryOut(call, body)}
      <p><a href="${PATH}">All models</a></p>`;
    return { title: 'Estimate', path: PATH, main };
  });
}

function fieldsOf(body: string): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(body);
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) {
      return fields as Record<string, unknown>;
    }
  } catch {
    // Said below.
  }
  throw new AppError('invalid_request', 'The request must be a JSON object.');
}

function told({ entry, min, expected, max, units, assumed }: Estimate): Html {
  const rows = [
    ...Object.entries(units).map(([name, value]) => [name, String(value), 'asked for'] as const),
    ...Object.entries(assumed).map(([name, value]) => [name, String(value), 'assumed'] as const),
  ];
  return html`<p>For <code>${entry.model.id}</code>:</p>
    <dl class="figures">
      ${figure('At least', `$${formatUsd(min)}`)} ${figure('Usually', `$${formatUsd(expected)}`)}
      ${figure('At most: held', `$${formatUsd(max)}`)}
    </dl>
    <h2>What that counts</h2>
    ${table(
      [
        { title: 'Unit', cell: ([name]) => name.replaceAll('_', ' ') },
        { title: 'How many', cell: ([, value]) => value },
        { title: '', cell: ([, , how]) => how },
      ],
      rows,
      { empty: 'Nothing.' },
    )}`;
}
