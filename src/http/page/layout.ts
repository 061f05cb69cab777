/** The frame of every page of the operator's site. */
import { html, type Html, type Piece } from './html.ts';

export interface Place {
  path: string;
  title: string;
}

/** In the order of the menu. */
export const MENU: readonly Place[] = [
  { path: '/admin', title: 'Overview' },
  { path: '/admin/accounts', title: 'Accounts' },
  { path: '/admin/keys', title: 'Keys' },
  { path: '/admin/models', title: 'Models' },
  { path: '/admin/channels', title: 'Channels' },
  { path: '/admin/playground', title: 'Playground' },
  { path: '/admin/tasks', title: 'Tasks' },
  { path: '/admin/payments', title: 'Payments' },
  { path: '/admin/payouts', title: 'Payouts' },
  { path: '/admin/webhooks', title: 'Webhooks' },
  { path: '/admin/usage', title: 'Usage' },
  { path: '/admin/log', title: 'Log' },
  { path: '/admin/settings', title: 'Settings' },
];

export interface Frame {
  title: string;
  /** Of the menu's entry that it belongs to; null for pages of somebody who is not signed in. */
  path: string | null;
  /** For forms that the page's script sends; empty where nobody is signed in. */
  csrf: string;
  isSandbox: boolean;
  /** What the last form came to. */
  notice: Piece;
}

const HTMX = '{"history":false,"mode":"same-origin","includeIndicatorCSS":false}';

export function layout(frame: Frame, main: Html): string {
  const { title, path, csrf, isSandbox, notice } = frame;
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="htmx-config" content="${HTMX}" />
      <meta name="csrf" content="${csrf}" />
      <title>${title} – Farebox</title>
      <link rel="icon" href="data:," />
      <link rel="stylesheet" href="/admin/assets/uplot.css" />
      <link rel="stylesheet" href="/admin/assets/admin.css" />
      <script src="/admin/assets/htmx.js" defer></script>
      <script src="/admin/assets/uplot.js" defer></script>
      <script src="/admin/assets/admin.js" defer></script>
    </head>
    <body>
      <a class="skip" href="#main">Skip to content</a>
      <header>
        <a class="brand" href="/admin">Farebox</a>
        ${isSandbox && html`<span class="badge warn">sandbox<span class="wide">: play money</span></span>`}
        ${path !== null && html`${signOut(csrf)} ${menu(path)}`}
      </header>
      <main id="main" tabindex="-1">
        <h1>${title}</h1>
        ${notice && html`<p class="notice" role="status">${notice}</p>`} ${main}
      </main>
    </body>
  </html>`;
  return `<!doctype html>\n${page.text}`;
}

function signOut(csrf: string): Html {
  return html`<form class="out" method="post" action="/admin/logout">
    <input type="hidden" name="csrf" value="${csrf}" />
    <button class="quiet">Sign out</button>
  </form>`;
}

function menu(current: string): Html {
  return html`<nav aria-label="Pages">
    <ul>
      ${MENU.map(
        ({ path, title }) =>
          html`<li>
            <a href="${path}" ${path === current && html` aria-current="page"`}>${title}</a>
          </li>`,
      )}
    </ul>
  </nav>`;
}
