/** GET /auth.md: how to be let in, for agents that read. */
import { MARKDOWN } from './described.ts';
import type { Made, Site } from './kept.ts';
import { networkInWords } from './words.ts';

export function authPage({ origin, networks }: Site): Made {
  const rails = networks.map((network) => `- ${networkInWords(network)}`).join('\n');
  const text = `# How to call ${origin}

There are three ways; each request uses one.

## Pay as you go, with any x402 client

Send the request without credentials. The answer is 402 and names what this request may cost, in \`accepts\` and in the
\`PAYMENT-REQUIRED\` header. Sign one entry and send the same request again with \`PAYMENT-SIGNATURE\` (or \`X-PAYMENT\`,
\`X-402-Payment\`). What the request does not use stays as the balance of the wallet that paid. Networks now:

${rails || '- none: send an API key'}

A payment whose outcome is not known yet answers 503 \`payment_pending\`: send the same payment again, never a new one.

## Spend a wallet's balance

Top up once: \`POST ${origin}/api/v1/x402/top-up\`. Then sign in on every request with \`SIGN-IN-WITH-X\` (or
\`X-Sign-In-With-X\`), a fresh message each time: base64 of \`{"address","message","signature","chainId"}\`, where the message is
EIP-4361's or its Solana form, for the domain ${new URL(origin).host}; every 402 carries a challenge with a nonce.
\`GET ${origin}/api/v1/x402/balance/{wallet}\` says what is left, \`GET ${origin}/api/v1/x402/transactions/{wallet}\` what became
of it, and [the balance page](${origin}/balance) shows both to people. \`POST ${origin}/api/v1/x402/payouts\` asks for it back.

## API key

\`Authorization: Bearer KEY\` or \`x-api-key: KEY\`. The operator of this server makes keys; a wallet makes its own with
\`POST ${origin}/api/v1/api_keys\`, signed in.

## More

- [What is sold, and how to call it](${origin}/llms.txt)
- [OpenAPI](${origin}/openapi.json)
- [Models and prices](${origin}/v1/models)
`;
  return { type: `${MARKDOWN}; charset=utf-8`, text };
}
