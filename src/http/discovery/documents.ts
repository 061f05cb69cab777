/** What agents read before they call: /llms.txt, /.well-known/x402 and /.well-known/api-catalog. */
import { KNOWN_NETWORKS } from '../../chains/networks.ts';
import { formatUsd, ZERO_USD } from '../../money.ts';
import { JSON_TYPE, MARKDOWN } from './described.ts';
import { samples } from './how.ts';
import { jsonText, type Made, type Site } from './kept.ts';
import { resources } from './resources.ts';
import { networkInWords, priceInWords } from './words.ts';

/** Models that are listed by name; all of them are in GET /v1/models. */
const MOST_MODELS = 200;

/** llmstxt.org: a title, what it is, and lists of links. */
export function llmsText(site: Site): Made {
  const { origin, networks, config } = site;
  const rails = networks.map(networkInWords).join(', ');
  const ways = networks.length
    ? `USDC on ${rails}. One payment is at least $${formatUsd(config.inlineMinimum)} inline and $${formatUsd(config.minimumTopUp)} as a top-up; what a call does not use stays as your balance.`
    : 'No payment network can be used at the moment: send an API key.';
  const code = samples(site).map(
    ({ title, language, code: text }) => `### ${title}\n\n\`\`\`${language}\n${text}\n\`\`\`\n`,
  );
  const text = `# Farebox at ${new URL(origin).host}

> AI by the call: chat, embeddings, images, video, music and speech, paid by a wallet over x402 (version 2) or by an API key. OpenAI-compatible at ${origin}/v1, Venice-compatible at ${origin}/api/v1, Anthropic's messages at ${origin}/v1/messages.

${ways}

## Start here

- [How to pay and to sign in](${origin}/auth.md)
- [Models, parameters and prices](${origin}/v1/models): JSON
- [OpenAPI 3.1](${origin}/openapi.json): every route, with examples that work
- [Reference](${origin}/reference): the same, for people
- [x402 resources](${origin}/.well-known/x402): what can be bought, and on which networks
- [Catalogue of APIs](${origin}/.well-known/api-catalog): RFC 9727
- [Balance](${origin}/balance): of a wallet, by a signature

## What to know

- A paid route without credentials answers 402 with what this very request may cost.
- \`POST ${origin}/v1/credits/estimate\` prices any request for nothing; its quote binds for ten minutes.
- \`max_credits\` in a body, or \`X-Max-Credits\`, is the most that a request may cost.
- \`Idempotency-Key\` makes a repeated request safe.
- Images, video and music are tasks: \`GET /v1/tasks/{id}?wait=60\` waits, \`callback_url\` tells you.

## What is sold

${resources(site)
  .map(({ method, url, summary }) => `- \`${method} ${url}\`: ${summary}`)
  .join('\n')}

## Prices

${modelLines(site)}

## Code

${code.join('\n')}`;
  return { type: `${MARKDOWN}; charset=utf-8`, text };
}

function modelLines({ catalogue, origin }: Site): string {
  const models = catalogue.models();
  const lines = models
    .slice(0, MOST_MODELS)
    .map((model) => `- ${model.id} (${model.type}): ${priceInWords(model)}`);
  const more = models.length - lines.length;
  return [...lines, ...(more > 0 ? [`- ${more} more: ${origin}/v1/models`] : [])].join('\n');
}

export function x402Facts({ origin, networks, config, payments, ...site }: Site) {
  return {
    version: 1,
    x402Version: 2,
    name: 'Farebox',
    description: 'AI by the call for wallets',
    resources: resources({ origin, networks, config, payments, ...site }).map(({ url }) => url),
    topUp: `${origin}/api/v1/x402/top-up`,
    networks: payments.requirements(ZERO_USD).map(({ scheme, network, asset, payTo }) => ({
      scheme,
      network,
      name: KNOWN_NETWORKS.get(network)?.title ?? network,
      asset,
      payTo,
    })),
    minimumTopUpUsd: formatUsd(config.minimumTopUp),
    inlineMinimumUsd: formatUsd(config.inlineMinimum),
    maximumTopUpUsd: formatUsd(config.maximumTopUp),
    openapi: `${origin}/openapi.json`,
    models: `${origin}/v1/models`,
    docs: `${origin}/llms.txt`,
    instructions: `${origin}/auth.md`,
  };
}

export function wellKnownX402(site: Site): Made {
  return { type: `${JSON_TYPE}; charset=utf-8`, text: jsonText(x402Facts(site)) };
}

const PROFILE = 'https://www.rfc-editor.org/info/rfc9727';

/** RFC 9727 over RFC 9264: each API with where it is described. */
export function apiCatalog({ origin }: Site): Made {
  const described = {
    'service-desc': [{ href: `${origin}/openapi.json`, type: JSON_TYPE }],
    'service-doc': [
      { href: `${origin}/reference`, type: 'text/html' },
      { href: `${origin}/llms.txt`, type: MARKDOWN },
      { href: `${origin}/auth.md`, type: MARKDOWN },
    ],
    'service-meta': [{ href: `${origin}/.well-known/x402`, type: JSON_TYPE }],
    status: [{ href: `${origin}/health`, type: JSON_TYPE }],
  };
  const linkset = [
    { anchor: `${origin}/.well-known/api-catalog`, item: apis(origin) },
    ...apis(origin).map(({ href }) => ({ anchor: href, ...described })),
  ];
  return {
    type: `application/linkset+json; profile="${PROFILE}"`,
    text: jsonText({ linkset }),
    headers: { link: `<${origin}/.well-known/api-catalog>; rel="api-catalog"` },
  };
}

/** Where each dialect answers a GET of its own. */
function apis(origin: string): { href: string }[] {
  return [{ href: `${origin}/v1/models` }, { href: `${origin}/api/v1/models` }];
}
