/** How to call and to pay: commands and code that work as they stand, with the models and networks of this server. */
import { modelFor } from './described.ts';
import type { Site } from './kept.ts';

export interface Sample {
  title: string;
  language: 'sh' | 'js';
  code: string;
}

export function samples(site: Site): Sample[] {
  const { origin, networks } = site;
  const model = modelFor({ types: ['text'] }, site.catalogue.models()) ?? '';
  const evm = networks.find((network) => network.startsWith('eip155:'));
  const place = { origin, model, body: bodyFor(model) };
  const [ask, keyed] = curls(place);
  return [
    ...(networks.length > 0 ? [ask] : []),
    keyed,
    ...(evm === undefined ? [] : paying(place, evm)),
    // It pays on Base and nowhere else.
    ...(networks.includes('eip155:8453') ? [topUp(place)] : []),
  ];
}

interface Place {
  origin: string;
  model: string;
  body: string;
}

function bodyFor(model: string): string {
  return `{"model":"${model}","messages":[{"role":"user","content":"Hello?"}],"max_tokens":50}`;
}

function curls({ origin, body }: Place): [ask: Sample, keyed: Sample] {
  return [
    {
      title: 'Ask what a call costs: curl',
      language: 'sh',
      code: `curl -s ${origin}/v1/chat/completions -H 'content-type: application/json' \\
  -d '${body}'`,
    },
    {
      title: 'With an API key: curl',
      language: 'sh',
      code: `curl -s ${origin}/v1/chat/completions -H 'content-type: application/json' \\
  -H "authorization: Bearer $API_KEY" \\
  -d '${body}'`,
    },
  ];
}

function paying({ origin, model, body }: Place, evm: string): Sample[] {
  const wallet = `import { privateKeyToAccount } from 'viem/accounts';`;
  const paid = `const account = privateKeyToAccount(process.env.PRIVATE_KEY);
const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: '${evm}', client: new ExactEvmScheme(account) }],
});`;
  return [
    {
      title: 'Pay by the call: @x402/fetch',
      language: 'js',
      code: `import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
${wallet}

${paid}
const answer = await paidFetch('${origin}/v1/chat/completions', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '${body}',
});
const { choices } = await answer.json();
console.log(choices[0].message.content);`,
    },
    {
      title: 'The same under the openai package',
      language: 'js',
      code: `import OpenAI from 'openai';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
${wallet}

${paid}
const openai = new OpenAI({
  baseURL: '${origin}/v1',
  apiKey: 'none',
  // The wallet pays: no key goes out.
  defaultHeaders: { authorization: null },
  fetch: paidFetch,
});
const answer = await openai.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello?' }],
  max_tokens: 50,
});
console.log(answer.choices[0].message.content);`,
    },
  ];
}

function topUp({ origin, model }: Place): Sample {
  return {
    title: 'Top up once, then spend: venice-x402-client',
    language: 'js',
    code: `import { VeniceClient } from 'venice-x402-client';

const client = new VeniceClient(process.env.PRIVATE_KEY, { apiUrl: '${origin}' });
await client.topUp(5);
const answer = await client.chat({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello?' }],
});
console.log(answer.choices[0].message.content, await client.getBalance());`,
  };
}
