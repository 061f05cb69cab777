/** /admin/playground/runs/{id}: one run as it goes on, step by step, its results, and code that does the same. */
import type { Exchange, HeaderLine, Result } from '../../playground/protocol.ts';
import { isOver, type Run } from '../../playground/run.ts';
import { idOf } from './actions.ts';
import { codeFor } from './playground-code.ts';
import { html, type Html, type Piece } from './html.ts';
import type { Page } from './page.ts';
import { badge, figure } from './pieces.ts';
import {
  chainOf,
  isShown,
  money,
  PLAYGROUND,
  type RunPageOptions,
  RUNS,
  stepText,
  TONES,
} from './playground.ts';

const SHOWN_HEADER_CHARS = 120;
/** Headers that are JSON in base64. */
const PACKED = /^(x-)?payment(-required|-response|-signature)?$|^sign-in-with-x$/i;

export function runPage({ playground, origins, config }: RunPageOptions): Page {
  return {
    title: 'Run',
    path: PLAYGROUND,
    run: (call) => {
      const run = playground.find(call.session.hash, idOf(call));
      const samples = codeFor(run.wanted, {
        origin: origins.dialled(call.ctx.req.headers.host),
        networks: config.networks.map(({ network }) => network),
      });
      const live = !isOver(run) && html` data-live="${RUNS}/${run.id}/live"`;
      return Promise.resolve(
        html`<div ${live}>
            <p>
              <span class="badge ${TONES[run.state]}" data-figure="state">${run.state}</span>
              <code>${run.wanted.model}</code>
              <span class="soft" data-figure="step">${stepText(run)}</span>
            </p>
            ${run.error !== null && html`<p class="badge bad" role="alert">${run.error}</p>`}
            ${figures(run)} ${answer(run)} ${run.results.map((result, n) => shown(run, result, n))}
          </div>
          ${
            !isOver(run) &&
            html`<noscript
              ><p><a href="${RUNS}/${run.id}">Look again</a></p></noscript
            >`
          }
          ${run.exchanges.length > 0 && html`<h2>Step by step</h2>`}
          ${run.exchanges.map((exchange, n) => step(run, exchange, n))}
          <h2>The same from your own code</h2>
          ${samples.map(
            ({ title, code }) =>
              html`<details class="card">
                <summary>${title}</summary>
                <pre class="tall" tabindex="0" data-copy>${code}</pre>
              </details>`,
          )}
          <p>
            <a href="${PLAYGROUND}?model=${encodeURIComponent(run.wanted.model)}">Run it again</a>
          </p>`,
      );
    },
  };
}

function figures({ figures: of }: Run): Html {
  return html`<dl class="figures">
    ${figure('Estimate', live('expected', money(of.expected)), html`at most ${live('most', money(of.most))}`)}
    ${figure('Asked for', live('asked', money(of.asked)), live('network', chainOf(of.network)))}
    ${figure('Cost', live('cost', money(of.cost)))}
    ${figure('Balance before', live('before', money(of.before)))}
    ${figure('Balance after', live('after', money(of.after)), 'X-Balance-Remaining')}
  </dl>`;
}

function live(name: string, text: string): Html {
  return html`<span data-figure="${name}">${text}</span>`;
}

function answer(run: Run): Piece {
  if (isOver(run) && run.text === '') return null;
  return html`<h2>Answer</h2>
    <pre data-figure="text" tabindex="0">${run.text}</pre>`;
}

function shown({ id, directory }: Run, { contentType, bytes }: Result, place: number): Html {
  if (directory === null) {
    return html`<p class="empty">
      A result of ${contentType} went with the sandbox. Run it again.
    </p>`;
  }
  const url = `${RUNS}/${id}/results/${place}`;
  const isMedia = isShown(contentType);
  const label = `Result ${place + 1}`;
  return html`<figure class="card result">
    ${isMedia && contentType.startsWith('image/') && html`<img src="${url}" alt="${label}" />`}
    ${isMedia && contentType.startsWith('video/') && html`<video src="${url}" controls aria-label="${label}"></video>`}
    ${isMedia && contentType.startsWith('audio/') && html`<audio src="${url}" controls aria-label="${label}"></audio>`}
    <figcaption class="soft">
      ${contentType}, ${bytes.toLocaleString('en')} bytes. <a href="${url}" download>Keep</a>
    </figcaption>
  </figure>`;
}

/** The paid answer, or the refusal, is what most come to see. */
function step({ wanted }: Run, exchange: Exchange, place: number): Html {
  const { title, method, path, status, tookMs, sent, sentBody, headers, body } = exchange;
  const isOpen = path === wanted.path && status !== 402;
  return html`<details class="card" ${isOpen && html` open`}>
    <summary>
      ${place + 1}. ${title}
      ${badge(String(status), status < 400 ? 'good' : status === 402 ? 'warn' : 'bad')}
    </summary>
    <p>
      <code>${method} ${path}</code>
      <span class="soft">answered after ${tookMs} ms</span>
    </p>
    <h3>Sent</h3>
    ${lines(sent)} ${text(sentBody)}
    <h3>Answered</h3>
    ${lines(headers)} ${text(body)}
  </details>`;
}

function text(body: string): Piece {
  return body !== '' && html`<pre class="tall" tabindex="0">${pretty(body)}</pre>`;
}

function lines(headers: readonly HeaderLine[]): Piece {
  if (!headers.length) return null;
  return html`<dl class="lines">
    ${headers.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${headerText(name, value)}</dd>
        </div>`,
    )}
  </dl>`;
}

function headerText(name: string, value: string): Piece {
  const short =
    value.length > SHOWN_HEADER_CHARS ? `${value.slice(0, SHOWN_HEADER_CHARS)}…` : value;
  const said = PACKED.test(name) ? unpacked(value) : null;
  if (said === null) return html`<code>${short}</code>`;
  return html`<code>${short}</code>
    <details>
      <summary>What it says</summary>
      <pre class="tall" tabindex="0">${said}</pre>
    </details>`;
}

function unpacked(value: string): string | null {
  try {
    return JSON.stringify(JSON.parse(Buffer.from(value, 'base64').toString('utf8')), null, 2);
  } catch {
    return null;
  }
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
