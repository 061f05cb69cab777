/** How an operator comes in: with a key, or, on a new server, over the claim link of its log. */
import { SESSION_MS } from '../../auth/sessions.ts';
import { AppError } from '../../errors.ts';
import { orFlood, requireNoFlood, type GuardOptions } from '../limits.ts';
import type { Context } from '../request.ts';
import { html, type Html } from './html.ts';
import { open, type PageOptions, redirect, setCookie, show, form } from './page.ts';
import { field } from './pieces.ts';

export type SignInOptions = PageOptions & GuardOptions;

const WORD: Omit<Parameters<typeof show>[2], 'title'> = { path: null, csrf: '', notice: null };

/** GET /admin/login */
export function loginPage(options: SignInOptions) {
  return open(options, (ctx) => showLogin(ctx, options, null));
}

/** POST /admin/login */
export function logIn(options: SignInOptions) {
  return open(options, async (ctx, fields) => {
    await requireNoFlood(options, ctx, 'unauthorized');
    try {
      const token = await options.sessions.signIn((fields.get('key') ?? '').trim());
      enter(ctx, token, '/admin');
    } catch (error) {
      const said = await orFlood(ctx, options, error);
      if (!(said instanceof AppError) || said.code !== 'invalid_credential') throw said;
      await showLogin(ctx, options, said.message);
    }
  });
}

async function showLogin(
  ctx: Context,
  options: SignInOptions,
  problem: string | null,
): Promise<void> {
  const isNew = !(await options.sessions.hasOperator());
  const main = html`${
      isNew &&
      html`<p class="attention">
        This server has no operator yet. The log of its start shows a claim link, good once and for
        a day; a restart shows a new one.
      </p>`
    }
    <form class="card" method="post" action="/admin/login">
      ${problem && html`<p class="badge bad" role="alert">${problem}</p>`}
      ${field('Operator key', 'key', {
        type: 'password',
        isRequired: true,
        hint: html`An ADMIN key of the house: <code>ak_…</code>. Lost it?
          <code>farebox keys reset-admin</code> on the server makes a new one.`,
      })}
      <button>Sign in</button>
    </form>`;
  show(ctx, options, { ...WORD, title: 'Sign in' }, main, problem === null ? 200 : 401);
}

/** POST /admin/logout */
export function logOut(options: SignInOptions) {
  return form(options, async ({ session, ctx }) => {
    await options.sessions.end(session.hash);
    setCookie(ctx, '', 0);
    return { to: '/admin/login' };
  });
}

/** GET /admin/claim/{code}: uses nothing up, so that whatever looks at links first spoils nothing. */
export function claimPage(options: SignInOptions) {
  return open(options, async (ctx) => {
    await requireNoFlood(options, ctx, 'unauthorized');
    const code = codeOf(ctx);
    if (!(await options.sessions.isClaimable(code))) throw await orFlood(ctx, options, usedUp());
    const main = html`<p>
        This server has no operator yet. Claiming it makes you one: your browser is signed in, and
        you are shown an operator key once, to keep.
      </p>
      <form method="post" action="/admin/claim/${code}"><button>Claim this server</button></form>`;
    show(ctx, options, { ...WORD, title: 'Claim this server' }, main);
  });
}

/** POST /admin/claim/{code} */
export function claim(options: SignInOptions) {
  return open(options, async (ctx) => {
    await requireNoFlood(options, ctx, 'unauthorized');
    const key = await options.sessions.claim(codeOf(ctx)).catch(async (error: unknown) => {
      throw await orFlood(ctx, options, error);
    });
    setCookie(ctx, await options.sessions.begin(key.id), SESSION_MS / 1_000);
    show(ctx, options, { ...WORD, title: 'This server is yours' }, shownOnce(key.secret));
  });
}

function shownOnce(secret: string): Html {
  return html`<p>Your operator key, shown this once. Keep it: it signs you in from anywhere.</p>
    <pre>${secret}</pre>
    <p><a href="/admin/setup">Set up what is sold and where you are paid</a></p>`;
}

function codeOf(ctx: Context): string {
  return (ctx as unknown as { params?: { code?: string } }).params?.code ?? '';
}

function usedUp(): AppError {
  return new AppError(
    'invalid_credential',
    'This claim link was used or is too old. Restart the server for a new one, or run "farebox keys reset-admin".',
  );
}

function enter(ctx: Context, token: string, to: string): void {
  setCookie(ctx, token, SESSION_MS / 1_000);
  redirect(ctx, to);
}
