/** GET /auth.md: how to be let in, for agents that read. */
import type { Context } from '../request.ts';

export function authPage(ctx: Context): void {
  const { origin, headers } = ctx.state;
  const bytes = Buffer.from(page(origin));
  headers['content-type'] = 'text/markdown; charset=utf-8';
  headers['content-length'] = String(bytes.length);
  ctx.res.writeHead(200, headers);
  ctx.res.end(bytes);
}

function page(origin: string): string {
  return `# How to call ${origin}

There are three ways; each request uses one.

## Pay as you go, with any x402 client

Send the request without credentials. The answer is 402 and names what this request may cost, in \`accepts\` and in the
\`PAYMENT-REQUIRED\` header. Sign one entry and send the same request again with \`PAYMENT-SIGNATURE\` (or \`X-PAYMENT\`,
\`X-402-Payment\`). What the request does not use stays as the balance of the wallet that paid.

## Spend a wallet's balance

Top up once: \`POST ${origin}/api/v1/x402/top-up\`. Then sign in on every request with \`SIGN-IN-WITH-X\` (or
\`X-Sign-In-With-X\`), a fresh message each time. \`GET ${origin}/api/v1/x402/balance/{wallet}\` says what is left.

## API key

\`Authorization: Bearer KEY\` or \`x-api-key: KEY\`. The operator of this server makes keys.
`;
}
