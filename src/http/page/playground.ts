/** /admin/playground: what is sold, tried out as a paying agent would. */
import type { Catalogue } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
import type { Playground } from '../../playground/playground.ts';
import { CHAINS } from '../../playground/protocol.ts';
import {
  CHAIN_NAMES,
  type Field,
  fieldsFor,
  MAX_PROMPT_CHARS,
  requestOf,
} from '../../playground/requests.ts';
import { isOver, type Run } from '../../playground/run.ts';
import { isPriced } from '../../playground/spec.ts';
import { AppError } from '../../errors.ts';
import type { OpenNow } from '../open-now.ts';
import { html, type Html, type Piece } from './html.ts';
import { link, sought } from './lists.ts';
import { priceLines } from './models.ts';
import { form, type Page, type PageCall, type PageOptions } from './page.ts';
import { badge, field, networkTitle, select, table, time } from './pieces.ts';

export interface PlaygroundPageOptions extends PageOptions {
  playground: Playground;
  catalogue: Catalogue;
}

export interface RunPageOptions extends PlaygroundPageOptions {
  config: { networks: readonly { network: string }[] };
  /** `stopping` fires when the server ends. */
  tasks: { readonly stopping: AbortSignal };
  openNow: Pick<OpenNow, 'runs'>;
}

export const PLAYGROUND = '/admin/playground';
export const RUNS = `${PLAYGROUND}/runs`;
/** Of a longer list the others are looked for by name. */
const MOST_OFFERED = 500;
const MOST_SHOWN = 10;
const SHOWN = /^(image\/(png|jpeg|webp|gif)|video\/(mp4|webm)|audio\/[\w.+-]{1,40})$/;

export const TONES = { starting: 'warn', running: 'warn', done: 'good', failed: 'bad' } as const;

export function playgroundPage({ playground, catalogue }: PlaygroundPageOptions): Page {
  return {
    title: 'Playground',
    path: PLAYGROUND,
    run: (call) => {
      const models = catalogue.models();
      const runs = playground.list(call.session.hash).slice(0, MOST_SHOWN);
      const page = html`<p>
          Try what you sell as a paying agent sees it: the 402, the payment, the answer and what it
          cost. Prices are yours; the money is play money, and the answers are made up by the demo
          upstream. It runs in a process of its own, which ends when nobody uses it.
        </p>
        ${models.length ? chooser(call, models) : html`<p class="empty">No model is for sale yet.</p>`}
        <h2>Your runs</h2>
        ${runsTable(runs)}`;
      return Promise.resolve(page);
    },
  };
}

function chooser(call: PageCall, models: readonly ModelConfig[]): Html {
  const name = sought(call, 'name') ?? '';
  const wanted = call.query.get('model') ?? '';
  const found = models.filter(({ id }) => id.includes(name)).slice(0, MOST_OFFERED);
  const model = models.find(({ id }) => id === wanted) ?? found[0] ?? models[0]!;
  const options = found.map(({ id, type }): [string, string] => [id, `${id} (${typeName(type)})`]);
  return html`<form class="row card" method="get" action="${PLAYGROUND}">
      ${select('Model', 'model', options, model.id)}
      ${models.length > MOST_OFFERED && field('Whose name has', 'name', { value: name })}
      <button class="quiet">Choose</button>
    </form>
    ${runForm(call, model)}`;
}

function runForm({ session }: PageCall, model: ModelConfig): Html {
  if (!isPriced(model)) {
    return html`<p class="card">
      ${model.id} costs what its upstream says, and no upstream is asked here. Give it price rules
      to try it.
    </p>`;
  }
  return html`<form class="card" method="post" action="${PLAYGROUND}">
    <h2>${model.id}</h2>
    <p class="soft">${priceLines(model)}</p>
    ${
      model.price.upstream !== undefined &&
      html`<p>
        Customers pay what its upstream says. No upstream is asked here: its rules price it.
      </p>`
    }
    <input type="hidden" name="csrf" value="${session.csrf}" />
    <input type="hidden" name="model" value="${model.id}" />
    ${fieldsFor(model).map(input)} ${sampleNote(model)}
    ${select(
      'Paid with',
      'chain',
      CHAINS.map((chain) => [chain, CHAIN_NAMES[chain]]),
      'evm',
      'r',
    )}
    <details>
      <summary>Further fields</summary>
      ${area('extra', 'As JSON', '', 'Whatever else the request may say: {"temperature": 0.5}')}
    </details>
    <button>Run</button>
  </form>`;
}

function input({ name, label, kind, value, choices, hint }: Field): Html {
  switch (kind) {
    case 'area':
      return area(name, label, value, hint);
    case 'choice':
      return select(
        label,
        name,
        choices.map((choice) => [choice, choice]),
        value,
        'r',
      );
    case 'number':
    case 'text':
      return field(label, name, { value, hint, of: 'r' });
  }
}

function area(name: string, label: string, value: string, hint: Piece): Html {
  const id = `r-${name}`;
  return html`<div class="field">
    <label for="${id}">${label}</label>
    <textarea
      id="${id}"
      name="${name}"
      rows="4"
      maxlength="${MAX_PROMPT_CHARS}"
      ${hint && html` aria-describedby="${id}-hint"`}
    >
${value}</textarea>
    ${hint && html`<small id="${id}-hint">${hint}</small>`}
  </div>`;
}

function sampleNote({ type }: ModelConfig): Piece {
  if (type === 'stt') return html`<p class="soft">Three seconds of sound are sent along.</p>`;
  const isOnPicture = type === 'image_edit' || type === 'upscale' || type === 'background_remove';
  return isOnPicture && html`<p class="soft">A sample picture is sent along.</p>`;
}

function typeName(type: ModelConfig['type']): string {
  return type.replaceAll('_', ' ');
}

function runsTable(runs: readonly Run[]): Html {
  return table(
    [
      { title: 'Run', cell: ({ id }) => link(RUNS, id) },
      { title: 'When', cell: ({ startedAt }) => time(startedAt) },
      { title: 'Model', cell: ({ wanted }) => wanted.model },
      { title: 'State', cell: ({ state }) => badge(state, TONES[state]) },
      { title: 'Cost', isNumber: true, cell: ({ figures }) => money(figures.cost) },
    ],
    runs,
    { empty: 'None yet. Only this sign-in sees its runs, and they are forgotten after a while.' },
  );
}

export function money(amount: string | undefined): string {
  return amount === undefined || amount === '' ? '–' : `$${amount}`;
}

/** What browsers show and cannot run; anything else is a file to keep. */
export function isShown(contentType: string): boolean {
  return SHOWN.test(contentType);
}

export function stepText(run: Run): string {
  if (isOver(run)) return `${((run.endedAt ?? 0) - run.startedAt) / 1_000} s`;
  return run.exchanges.at(-1)?.title ?? 'The sandbox is starting';
}

export function chainOf(network: string | undefined): string {
  return network === undefined ? '' : networkTitle(network);
}

/** POST /admin/playground */
export function startRun(options: PlaygroundPageOptions) {
  const { playground, catalogue } = options;
  return form(options, ({ form: said, session }) => {
    const given = (name: string) => said.get(name) ?? '';
    const wanted = requestOf(given, modelNamed(catalogue, given('model')));
    return Promise.resolve({ to: `${RUNS}/${playground.start(session.hash, wanted)}` });
  });
}

/** A name that nobody sells is refused by the sandbox, as it would be by the shop. */
function modelNamed(catalogue: Catalogue, id: string): ModelConfig | null {
  const model = catalogue.models().find((each) => each.id === id) ?? null;
  if (model === null || isPriced(model)) return model;
  throw new AppError('invalid_request', `Model: ${id} has no price of its own to try.`);
}
