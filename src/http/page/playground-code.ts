/** A request of the playground as code against this very server: what an agent's author would write. */
import type { Wanted } from '../../playground/protocol.ts';

export interface CodeSample {
  title: string;
  code: string;
}

export interface CodePlace {
  origin: string;
  /** CAIP-2 ids that this server is paid on. */
  networks: readonly string[];
}

const LONG_DATA = /^data:[\w/+.-]+;base64,.{80,}$/s;
const VENICE_CHAIN = 'eip155:8453';

export function codeFor(wanted: Wanted, { origin, networks }: CodePlace): CodeSample[] {
  const evm = networks.find((network) => network.startsWith('eip155:')) ?? 'eip155:8453';
  const body = withoutData(wanted.body);
  const place = { ...wanted, body, origin };
  return [
    { title: 'Ask what it costs: curl', code: curl(place, '') },
    {
      title: 'With an API key: curl',
      code: curl(place, ` \\\n  -H "authorization: Bearer $API_KEY"`),
    },
    { title: 'Pay by the call: @x402/fetch', code: fetched(place, evm) },
    ...openAi(place, evm),
    // It pays on Base and nowhere else.
    ...(networks.includes(VENICE_CHAIN) ? venice(place) : []),
  ];
}

interface Place extends Wanted {
  origin: string;
}

/** A sample picture is long, and the author has one. */
function withoutData(body: Record<string, unknown>): Record<string, unknown> {
  const short = (value: unknown) =>
    typeof value === 'string' && LONG_DATA.test(value) ? 'https://example.com/picture.png' : value;
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, short(value)]));
}

function curl({ origin, path, body, isForm }: Place, more: string): string {
  if (isForm) {
    const fields = Object.entries(body).map(
      ([name, value]) => ` \\\n  -F ${inShell(`${name}=${String(value)}`)}`,
    );
    return `curl -si ${origin}${path}${more}${fields.join('')} \\\n  -F file=@recording.wav`;
  }
  return `curl -si ${origin}${path}${more} \\
  -H 'content-type: application/json' \\
  -d ${inShell(JSON.stringify(body))}`;
}

function inShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function wallet(evm: string): string {
  return `const account = privateKeyToAccount(process.env.PRIVATE_KEY);
const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: '${evm}', client: new ExactEvmScheme(account) }],
});`;
}

const IMPORTS = `import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';`;

function fetched({ origin, path, body, isForm }: Place, evm: string): string {
  const form = `const body = new FormData();
${Object.entries(body)
  .map(([name, value]) => `body.append(${JSON.stringify(name)}, ${JSON.stringify(String(value))});`)
  .join('\n')}
body.append('file', await openAsBlob('recording.wav'), 'recording.wav');
const answer = await paidFetch('${origin}${path}', { method: 'POST', body });`;
  const json = `const answer = await paidFetch('${origin}${path}', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(${inJs(body)}),
});`;
  const opened = isForm ? `import { openAsBlob } from 'node:fs';\n` : '';
  return `${opened}${IMPORTS}

${wallet(evm)}
${isForm ? form : json}
console.log(answer.headers.get('x-request-cost'), ${isForm || !isBytes(path) ? 'await answer.text()' : '(await answer.arrayBuffer()).byteLength'});`;
}

function isBytes(path: string): boolean {
  return /\/(speech|upscale|background-remove)$/.test(path);
}

function inJs(body: Record<string, unknown>): string {
  return JSON.stringify(body, null, 2).replaceAll('\n', '\n  ');
}

function openAi({ origin, type, body }: Place, evm: string): CodeSample[] {
  const call = openAiCall(type, body['stream'] === true);
  if (call === null) return [];
  const code = `import OpenAI from 'openai';
${IMPORTS}

${wallet(evm)}
const openai = new OpenAI({
  baseURL: '${origin}/v1',
  apiKey: 'none',
  // The wallet pays: no key goes out.
  defaultHeaders: { authorization: null },
  fetch: paidFetch,
});
const answer = await openai.${call.method}(${inJs(body).replaceAll('\n  ', '\n')});
${call.show}`;
  return [{ title: 'The same under the openai package', code }];
}

function openAiCall(type: Wanted['type'], isStream: boolean) {
  switch (type) {
    case 'text':
      return {
        method: 'chat.completions.create',
        show: isStream
          ? `for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta.content ?? '');`
          : 'console.log(answer.choices[0].message.content);',
      };
    case 'embedding':
      return {
        method: 'embeddings.create',
        show: 'console.log(answer.data[0].embedding.length);',
      };
    case 'tts':
      return {
        method: 'audio.speech.create',
        show: 'console.log((await answer.arrayBuffer()).byteLength);',
      };
    default:
      return null;
  }
}

function venice({ origin, type, body }: Place): CodeSample[] {
  if (type !== 'text') return [];
  const { stream: _stream, stream_options: _options, ...whole } = body;
  return [
    {
      title: 'Top up once, then spend: venice-x402-client',
      code: `import { VeniceClient } from 'venice-x402-client';

const client = new VeniceClient(process.env.PRIVATE_KEY, { apiUrl: '${origin}' });
await client.topUp(5);
const answer = await client.chat(${inJs(whole).replaceAll('\n  ', '\n')});
console.log(answer.choices[0].message.content, await client.getBalance());`,
    },
  ];
}
