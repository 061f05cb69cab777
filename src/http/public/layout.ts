/** The frame of the pages for everybody: no script, one stylesheet of our own. */
import { HTML } from '../discovery/described.ts';
import { html, type Html } from '../page/html.ts';

/** Nothing runs, nothing is loaded from elsewhere, nobody may frame it. */
export const SECURITY: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
};

export const HTML_TYPE = `${HTML}; charset=utf-8`;

export function layout(title: string, main: Html): string {
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>${title}</title>
      <link rel="icon" href="data:," />
      <link rel="stylesheet" href="/site.css" />
      <link rel="alternate" type="text/markdown" href="/llms.txt" />
      <link rel="api-catalog" href="/.well-known/api-catalog" />
    </head>
    <body>
      <a class="skip" href="#main">Skip to content</a>
      <header>
        <a class="brand" href="/">Farebox</a>
        <nav aria-label="Pages">
          <a href="/reference">Reference</a> · <a href="/balance">Balance</a> ·
          <a href="/llms.txt">For agents</a>
        </nav>
      </header>
      <main id="main" tabindex="-1">
        <h1>${title}</h1>
        ${main}
      </main>
    </body>
  </html>`;
  return `<!doctype html>\n${page.text}`;
}
