/** GET /: what is sold here, at which price and how to pay, as a page for browsers, and as Markdown or JSON for everybody else. */
import type { ModelConfig } from '../../config/config.ts';
import { formatUsd } from '../../money.ts';
import { HTML, JSON_TYPE, MARKDOWN } from '../discovery/described.ts';
import { llmsText, wellKnownX402 } from '../discovery/documents.ts';
import { samples } from '../discovery/how.ts';
import { kept, type DiscoveryOptions, type Made, type Site } from '../discovery/kept.ts';
import { networkInWords, priceInWords } from '../discovery/words.ts';
import type { Step } from '../in-turn.ts';
import { html, type Html } from '../page/html.ts';
import type { RouteEntry } from '../router.ts';
import { HTML_TYPE, layout, SECURITY } from './layout.ts';

/** Of each type; all of them are in GET /v1/models. */
const MOST_MODELS = 100;

export function home(options: DiscoveryOptions, table: readonly RouteEntry[]): Step {
  const page = kept(options, table, homePage);
  const markdown = kept(options, table, llmsText);
  const json = kept(options, table, wellKnownX402);
  return (ctx, next) => {
    const { headers } = ctx.state;
    headers['vary'] = `${headers['vary']}, Accept`;
    headers['link'] = '</.well-known/api-catalog>; rel="api-catalog"';
    // The first is for those who take anything: curl, and most clients of agents.
    const wanted = ctx.accepts(MARKDOWN, HTML, JSON_TYPE);
    const step = wanted === HTML ? page : wanted === JSON_TYPE ? json : markdown;
    return step(ctx, next);
  };
}

function homePage(site: Site): Made {
  const main = html`<p>
      AI by the call, paid by a wallet or an API key. OpenAI’s clients work with the base URL
      <code>${site.origin}/v1</code>, Venice’s with <code>${site.origin}/api/v1</code>.
    </p>
    ${howToPay(site)} ${prices(site)} ${code(site)} ${documents()}`;
  return { type: HTML_TYPE, text: layout('AI by the call', main), headers: SECURITY };
}

function howToPay({ networks, config, origin }: Site): Html {
  const rails = networks.map(networkInWords).join(', ');
  if (!networks.length) {
    return html`<h2>How to pay</h2>
      <p>No payment network can be used at the moment. Calls with an API key work.</p>`;
  }
  return html`<h2>How to pay</h2>
    <ul>
      <li>
        <strong>By the call:</strong> send the request; the answer 402 says what it costs. Any x402
        client signs a payment in USDC and sends it again. At least
        $${formatUsd(config.inlineMinimum)}; what is not used stays as your balance.
      </li>
      <li>
        <strong>From a balance:</strong> top up once at
        <code>POST ${origin}/api/v1/x402/top-up</code>, from $${formatUsd(config.minimumTopUp)},
        then sign in with the wallet.
      </li>
      <li>
        <strong>With an API key</strong> of this server’s operator, or one that your wallet made.
      </li>
    </ul>
    <p>Networks: ${rails}. <a href="/balance">See what a wallet has left</a>.</p>`;
}

function prices({ catalogue }: Site): Html {
  const byType = [...Map.groupBy(catalogue.models(), ({ type }) => type)];
  return html`<h2>What is sold</h2>
    ${byType.map(([type, models]) => html`${list(type, models)}`)}
    <p>Parameters and all rules: <a href="/v1/models">/v1/models</a>.</p>`;
}

function list(type: string, models: readonly ModelConfig[]): Html {
  const shown = models.slice(0, MOST_MODELS);
  return html`<h3>${type.replaceAll('_', ' ')}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label="Prices of ${type}">
      <table>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Price</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (model) =>
              html`<tr>
                <td><code>${model.id}</code></td>
                <td>${priceInWords(model)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${models.length > shown.length && html`<p>${models.length - shown.length} more.</p>`}`;
}

function code(site: Site): Html {
  return html`<h2>Code</h2>
    ${samples(site).map(
      ({ title, code: text }) =>
        html`<h3>${title}</h3>
          <pre tabindex="0"><code>${text}</code></pre>`,
    )}`;
}

function documents(): Html {
  return html`<h2>For agents</h2>
    <ul>
      <li><a href="/llms.txt">/llms.txt</a>: this page, and more, as Markdown</li>
      <li><a href="/auth.md">/auth.md</a>: how to pay and to sign in</li>
      <li><a href="/openapi.json">/openapi.json</a>: every route</li>
      <li><a href="/.well-known/x402">/.well-known/x402</a>: what can be bought by x402</li>
      <li><a href="/.well-known/api-catalog">/.well-known/api-catalog</a>: RFC 9727</li>
    </ul>`;
}
