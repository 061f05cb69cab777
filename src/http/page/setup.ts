/** The set-up page: three things, looked at live before they are saved. Secrets are never shown again. */
import type { Operator } from '../../auth/operator.ts';
import type { Reloaded } from '../../config/changes.ts';
import { ConfigError } from '../../config/fault.ts';
import { AppError } from '../../errors.ts';
import {
  type Answers,
  OTHER,
  readAnswers,
  SETTLE_CHOICES,
  UPSTREAM_CHOICES,
} from '../../setup/answers.ts';
import type { SelfTest } from '../../parts/site.ts';
import type { Checked, Setup } from '../../setup/setup.ts';
import { html, type Html } from './html.ts';
import { whatChanged } from './reloaded.ts';
import { form, type FormAnswer, isPart, page, type PageCall, type PageOptions } from './page.ts';
import { badge, choices, field, select } from './pieces.ts';

export type SetupPageOptions = PageOptions & { setup: Setup };

const TITLE = 'Set up';
const PATH = '/admin/settings';

/** GET /admin/setup */
export function setupPage(options: SetupPageOptions) {
  return page(options, {
    title: TITLE,
    path: PATH,
    run: (call) => {
      const locked = options.setup.lockedBecause;
      if (locked !== null) return Promise.resolve(html`<p class="card">${locked}</p>`);
      const publicUrl = originOf(call);
      const first = {
        ...readAnswers(new URLSearchParams()),
        markup: '20',
        settle: 'embedded',
        publicUrl,
      };
      return Promise.resolve(questions(call, first, null));
    },
  });
}

/** POST /admin/setup: checks; saves where all is well, or where what is merely doubtful was seen. */
export function saveSetup(options: SetupPageOptions) {
  const { setup } = options;
  return form(options, async (call): Promise<FormAnswer> => {
    const answers = readAnswers(call.form);
    let checked: Checked;
    try {
      checked = await setup.check(answers);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const faults = error.faults.map(
        ({ path, message }) => `${labelOf(path, answers)}: ${message}`,
      );
      return again(call, answers, faultList(faults));
    }
    if (!checked.isGood) return again(call, answers, found(checked));
    await setup.save(call.operator satisfies Operator, checked.draft);
    const reloaded = await setup.apply(call.operator);
    return { title: 'Saved', path: PATH, main: saved(checked, reloaded) };
  });
}

/** Beside what was typed, where the page's script sent it; else the page once more, without its secrets. */
function again(call: PageCall, answers: Answers, problems: Html): FormAnswer {
  if (isPart(call.ctx)) return { part: problems };
  return { title: TITLE, path: PATH, main: questions(call, answers, problems) };
}

function faultList(faults: readonly string[]): Html {
  return html`<p>Nothing is saved yet. Change this, then check again:</p>
    <ul>
      ${faults.map((text) => html`<li class="bad">${text}</li>`)}
    </ul>`;
}

function questions({ session }: PageCall, answers: Answers, problems: Html | null): Html {
  return html`<p>
      Three things, and this server sells. Each answer is tried out before anything is saved.
    </p>
    <form
      method="post"
      action="/admin/setup#checks"
      hx-post="/admin/setup"
      hx-target="#checks"
      hx-disable="find button"
      hx-indicator="find .busy"
    >
      <input type="hidden" name="csrf" value="${session.csrf}" />
      ${sold(answers)} ${paid(answers)} ${share(answers)}
      <div id="checks" class="checks" role="alert">${problems}</div>
      <button>Check and save</button>
      <span class="busy soft">Asking the upstream and the chain…</span>
    </form>`;
}

function sold(answers: Answers): Html {
  return html`<fieldset class="card">
    <legend><h2>1. What is sold</h2></legend>
    ${select('Upstream', 'upstream', UPSTREAM_CHOICES, answers.upstream)}
    ${field('Its API key', 'upstream_key', {
      type: 'password',
      hint: 'Kept sealed in the database; the settings file only names it.',
    })}
    <details ${(answers.upstream === OTHER || answers.baseUrl !== '') && html` open`}>
      <summary>At another address</summary>
      ${field('Base URL', 'base_url', {
        value: answers.baseUrl,
        hint: 'For a server of your own that speaks OpenAI’s dialect: https://llm.example.com/v1, or http://127.0.0.1:8000/v1 on this machine',
      })}
    </details>
  </fieldset>`;
}

/** Of what each way to settle needs, the style sheet shows what the chosen one does. */
function paid(answers: Answers): Html {
  return html`<fieldset class="card">
    <legend><h2>2. Where you are paid</h2></legend>
    ${field('Address on Base', 'pay_to_evm', {
      value: answers.payToEvm,
      hint: 'USDC arrives here; its key is not needed.',
    })}
    ${choices('Payments are settled', 'settle', SETTLE_CHOICES, answers.settle)}
    <div class="way embedded">
      ${field('Gas key, Base', 'gas_key_evm', {
        type: 'password',
        hint: '0x and 64 hex digits: the private key of a small wallet of its own, with some ETH on Base. It only pays gas.',
      })}
    </div>
    <div class="way facilitator">
      ${field('Facilitator', 'facilitator_url', {
        value: answers.facilitatorUrl,
        hint: 'Its address, such as https://facilitator.example.com',
      })}
    </div>
    <div class="way cdp">
      ${field('Coinbase key id', 'cdp_key_id', { value: answers.cdpKeyId })}
      ${field('Coinbase key secret', 'cdp_key_secret', { type: 'password' })}
    </div>
    <details ${answers.payToSolana !== '' && html` open`}>
      <summary>On Solana, too or instead</summary>
      ${field('Address on Solana', 'pay_to_solana', { value: answers.payToSolana })}
      <div class="way embedded">
        ${field('Gas key, Solana', 'gas_key_solana', {
          type: 'password',
          hint: 'Base58, as wallets export it; with some SOL.',
        })}
      </div>
    </details>
    <details>
      <summary>RPC endpoints of your own</summary>
      ${field('Base', 'rpc_url_base', { type: 'password', hint: 'Else the public one.' })}
      ${field('Solana', 'rpc_url_solana', { type: 'password', hint: 'Else the public one.' })}
    </details>
  </fieldset>`;
}

function share(answers: Answers): Html {
  return html`<fieldset class="card">
    <legend><h2>3. Your share</h2></legend>
    ${field('Markup in percent', 'markup', {
      value: answers.markup,
      hint: 'On top of the prices of the shipped catalogue, which are those of the upstream.',
    })}
    ${field('Address that clients dial', 'public_url', {
      value: answers.publicUrl,
      hint: 'As your browser reached this page. Change it if clients come another way.',
    })}
  </fieldset>`;
}

function found({ findings, draft }: Checked): Html {
  return html`<ul>
    ${findings.map(
      ({ state, subject, message, mend }) =>
        html`<li class="${state === 'bad' ? 'bad' : ''}">
          ${badge(state, state)} ${subject}: ${message}${mend !== null && html` – ${mend}`}
        </li>`,
    )}
    ${
      draft.unpriced.length > 0 &&
      html`<li>
        Not sold, because no price of theirs is known:
        <code>${draft.unpriced.slice(0, 20).join(', ')}</code>
      </li>`
    }
  </ul>`;
}

function saved(checked: Checked, reloaded: Reloaded | null): Html {
  return html`<p>
      ${checked.draft.config.models.length} models are for sale.
      ${reloaded ? 'The settings are in use.' : 'Restart the server to take the settings into use.'}
    </p>
    ${reloaded && whatChanged(reloaded)} ${found(checked)}
    <p><a href="/admin/self-test">Try it out: a self-test that really pays, with play money</a></p>
    <p><a href="/admin">To the overview</a></p>`;
}

/** What the browser dialled, where it says so in a way that can be one. */
function originOf({ ctx }: PageCall): string {
  const host = ctx.req.headers.host ?? '';
  const isTls =
    ctx.req.headers['x-forwarded-proto'] === 'https' || ctx.state.origin.startsWith('https:');
  const url = `${isTls ? 'https' : 'http'}://${host}`;
  return URL.canParse(url) ? new URL(url).origin : '';
}

const LABELS: Record<string, string> = {
  upstream: 'Upstream',
  upstream_key: 'Its API key',
  base_url: 'Base URL',
  pay_to_evm: 'Address on Base',
  PAY_TO_EVM: 'Address on Base',
  PAY_TO_SOLANA: 'Address on Solana',
  settle: 'Payments are settled',
  GAS_KEY_EVM: 'Gas key, Base',
  GAS_KEY_SOLANA: 'Gas key, Solana',
  FACILITATOR_URL: 'Facilitator',
  CDP_API_KEY_ID: 'Coinbase key id',
  CDP_API_KEY_SECRET: 'Coinbase key secret',
  'channels[0].base_url': 'Base URL',
  'channels[0].api_key': 'Its API key',
  markup: 'Markup in percent',
  public_url: 'Address that clients dial',
  'server.public_url': 'Address that clients dial',
};

/** Of the field that a fault is in, whether it names the answer or the setting that was made of it. */
function labelOf(path: string, { payToEvm }: Answers): string {
  const [, index = '', setting = ''] = /^payments\.networks\[(\d)\]\.(.+)$/.exec(path) ?? [];
  const chain = index === '0' && payToEvm !== '' ? 'Base' : 'Solana';
  if (setting === 'pay_to') return `Address on ${chain}`;
  if (setting.endsWith('gas_key')) return `Gas key, ${chain}`;
  if (setting === 'rpc_url') return `RPC endpoint, ${chain}`;
  if (setting.startsWith('facilitator')) return 'Facilitator';
  return LABELS[path] ?? path;
}

/** GET /admin/self-test, and POST to run it: the demo's story in a process of its own, in a directory of its own. */
export function selfTestPage(options: SelfTestOptions) {
  return page(options, {
    title: 'Self-test',
    path: PATH,
    run: ({ session }) =>
      Promise.resolve(
        html`<p>
            A second Farebox with play money is started beside this one, in a directory of its own:
            it tops up on both chains, calls, streams, and checks every figure of the ledger.
            Nothing of this server is touched. It takes some ten seconds.
          </p>
          <form method="post" action="/admin/self-test">
            <input type="hidden" name="csrf" value="${session.csrf}" />
            <button>Run the self-test</button>
          </form>`,
      ),
  });
}

export interface SelfTestOptions extends PageOptions {
  selfTest: SelfTest;
}

export function runSelfTest(options: SelfTestOptions) {
  let running: Promise<{ isGood: boolean; lines: string }> | null = null;
  return form(options, async (): Promise<FormAnswer> => {
    const { selfTest } = options;
    if (!selfTest) throw new AppError('state_conflict', 'This process cannot start another one.');
    // One at a time, whoever asks.
    running ??= selfTest().finally(() => {
      running = null;
    });
    const { isGood, lines } = await running;
    const main = html`<p>
        ${badge(isGood ? 'every figure is exact' : 'something is wrong', isGood ? 'good' : 'bad')}
      </p>
      <pre>${lines}</pre>`;
    return { title: 'Self-test', path: PATH, main };
  });
}
