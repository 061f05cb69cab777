/**
 * What every page and every form of the operator's site goes through: reached over https or on this machine alone, signed in, and, for a
 * form, sent by a page of ours. Sources: OWASP CSRF and session cheat sheets; fetch metadata.
 */
import type { IncomingMessage } from 'node:http';
import { isCsrf, type Session, type Sessions } from '../../auth/sessions.ts';
import type { KeyPrincipal } from '../../auth/principal.ts';
import type { Mode } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { Keys } from '../../keys/keys.ts';
import { isForwarded } from '../doors.ts';
import { errorAnswer, toAppError } from '../errors.ts';
import type { IdempotentOptions } from '../idempotent.ts';
import { ipRanges, plainIp } from '../../ip-ranges.ts';
import { keyPrincipal } from '../steps.ts';
import type { Log } from '../../log.ts';
import { type Context, readBody } from '../request.ts';
import { html, type Html, type Piece } from './html.ts';
import { layout } from './layout.ts';

export interface PageOptions extends IdempotentOptions {
  sessions: Sessions;
  keys: Keys;
  log: Log;
  mode: Mode;
  /** Origins that clients dial; see Origins. */
  origins: { dialled(host: string | undefined): string };
  /** Whose X-Forwarded-Proto counts. */
  trustedProxies: string[];
  port(): number;
}

export interface PageCall {
  operator: KeyPrincipal;
  session: Session;
  params: Record<string, string>;
  query: URLSearchParams;
  /** Of a form; empty for a page. */
  form: URLSearchParams;
  ctx: Context;
}

export interface Page {
  title: string | ((call: PageCall) => string);
  /** Of its entry in the menu. */
  path: string;
  run(call: PageCall): Promise<Html>;
}

/**
 * Answers where to go next, with what it came to; or a page, where something is shown only once; or, to the page's script, the part that
 * it asked for.
 */
export type FormAnswer =
  { to: string; notice?: string } | { title: string; path: string; main: Html } | { part: Html };

export const COOKIE = 'farebox_admin';
const MAX_FORM_BYTES = 256 * 1024;
const MAX_NOTICE = 300;
const SECURITY: Record<string, string> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
};

/** A page for operators; whoever is not signed in is shown where to. A request of htmx gets the page's inside alone. */
export function page(options: PageOptions, { title, path, run }: Page) {
  return guarded(options, async (ctx) => {
    const call = await signedIn(options, ctx);
    if (!call) return redirect(ctx, '/admin/login');
    const main = await run(call);
    if (isPart(ctx)) return sendHtml(ctx, 200, main.text);
    const notice = call.query.get('notice')?.slice(0, MAX_NOTICE) ?? null;
    const name = typeof title === 'string' ? title : title(call);
    show(ctx, options, { title: name, path, csrf: call.session.csrf, notice }, main);
  });
}

/** The page's script asks for a part of a page; without it, browsers ask for all of it. */
export function isPart({ req }: Context): boolean {
  return req.headers['hx-request'] === 'true';
}

/** In the place of all that the page shows, whatever part was asked for. */
function sendWhole(ctx: Context, title: string, main: Html): void {
  ctx.state.headers['hx-retarget'] = '#main';
  ctx.state.headers['hx-reswap'] = 'innerHTML show:top';
  sendHtml(
    ctx,
    200,
    html`<h1>${title}</h1>
      ${main}`.text,
  );
}

/**
 * For operators, too, where `run` answers by itself: a stream, a download. What takes long asks `isStillIn` as it goes on: whoever signed
 * out, or whose key was revoked, sees no more.
 */
export function stream(
  options: PageOptions,
  run: (call: PageCall, isStillIn: () => Promise<boolean>) => Promise<void>,
) {
  return guarded(options, async (ctx) => {
    const call = await signedIn(options, ctx);
    if (!call) return redirect(ctx, '/admin/login');
    await run(call, async () => (await signedIn(options, ctx)) !== null);
  });
}

/** A form for operators. What goes wrong is said on a page of its own, with the way back. */
export function form(options: PageOptions, run: (call: PageCall) => Promise<FormAnswer>) {
  return guarded(options, async (ctx) => {
    requireOurPage(ctx);
    const call = await signedIn(options, ctx);
    if (!call) return redirect(ctx, '/admin/login');
    call.form.append('', '');
    for (const [name, value] of await readForm(ctx)) call.form.append(name, value);
    call.form.delete('');
    const given = ctx.req.headers['x-csrf-token'] ?? call.form.get('csrf') ?? '';
    if (!isCsrf(call.session, String(given))) throw foreign();
    const answer = await run(call);
    if ('part' in answer) return sendHtml(ctx, 200, answer.part.text);
    if ('main' in answer) {
      const { main, ...frame } = answer;
      if (isPart(ctx)) return sendWhole(ctx, answer.title, main);
      return show(ctx, options, { ...frame, csrf: call.session.csrf, notice: null }, main);
    }
    const query = answer.notice ? `?notice=${encodeURIComponent(answer.notice)}` : '';
    redirect(ctx, `${answer.to}${query}`);
  });
}

/** For pages of those who are not signed in yet. `run` answers by itself. */
export function open(
  options: PageOptions,
  run: (ctx: Context, form: URLSearchParams) => Promise<void>,
) {
  return guarded(options, async (ctx) => {
    if (ctx.method !== 'POST') return run(ctx, new URLSearchParams());
    requireOurPage(ctx);
    await run(ctx, await readForm(ctx));
  });
}

/** https, or this very machine: a cookie or a key would otherwise cross the net in the clear. */
function guarded(options: PageOptions, run: (ctx: Context) => Promise<void>) {
  const isTrusted = ipRanges(options.trustedProxies);
  return async (ctx: Context): Promise<void> => {
    Object.assign(ctx.state.headers, SECURITY);
    try {
      if (!isPrivate(ctx.req, options, isTrusted)) return showTunnel(ctx, options);
      await run(ctx);
    } catch (thrown) {
      if (ctx.res.headersSent) throw thrown;
      const error = toAppError(thrown);
      if (error.code === 'internal')
        options.log.error('page_failed', { path: ctx.path, error: error.cause ?? error });
      const { status } = errorAnswer(error, 'v1', ctx.state.requestId);
      if (isPart(ctx)) return sendHtml(ctx, status, html`<p class="bad">${error.message}</p>`.text);
      const back = html`<p>${error.message}</p>
        <p><a href="/admin">Back to the overview</a></p>`;
      show(
        ctx,
        options,
        { title: 'That did not work', path: null, csrf: '', notice: null },
        back,
        status,
      );
    }
  };
}

function isPrivate(
  request: IncomingMessage,
  { origins, trustedProxies }: PageOptions,
  isTrusted: (ip: string) => boolean,
): boolean {
  const peer = plainIp(request.socket.remoteAddress ?? '');
  const host = request.headers.host ?? '';
  // What a browser dialled: a tunnel's end is this machine, also where a container's bridge lies between.
  const isLocal = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(host);
  if (isLocal && !isForwarded(request.headers)) return true;
  const origin = origins.dialled(host);
  const isDialled = origin !== '' && new URL(origin).host === host.toLowerCase();
  if (!isDialled || !origin.startsWith('https:')) return false;
  // A proxy of ours says itself how it was reached; another in front of us is taken at the word of PUBLIC_URL.
  if (trustedProxies.length && isTrusted(peer))
    return request.headers['x-forwarded-proto'] === 'https';
  return true;
}

function showTunnel(ctx: Context, options: PageOptions): void {
  const port = options.port();
  const main = html`<p>
      This page answers over https, or on the machine itself. From yours, open a tunnel:
    </p>
    <pre>ssh -L ${port}:127.0.0.1:${port} you@your-server</pre>
    <p>and then <code>http://127.0.0.1:${port}/admin</code>.</p>`;
  show(ctx, options, { title: 'Not from here', path: null, csrf: '', notice: null }, main, 403);
}

async function signedIn({ sessions, keys }: PageOptions, ctx: Context): Promise<PageCall | null> {
  const session = await sessions.find(cookieOf(ctx.req));
  const key = session && (await keys.standing(session.keyId));
  const operator = key && keyPrincipal(key);
  if (!session || operator?.role !== 'operator') return null;
  ctx.state.principal = operator;
  return {
    operator,
    session,
    params: (ctx as unknown as { params?: Record<string, string> }).params ?? {},
    query: new URLSearchParams(ctx.querystring),
    form: new URLSearchParams(),
    ctx,
  };
}

export function cookieOf({ headers }: IncomingMessage): string {
  const found = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(headers.cookie ?? '');
  return found?.[1] ?? '';
}

/** The session's cookie, or its end for an empty token. Secure wherever it may cross a net. */
export function setCookie(ctx: Context, token: string, seconds: number): void {
  const isSecure = ctx.state.origin.startsWith('https:');
  ctx.state.headers['set-cookie'] =
    `${COOKIE}=${token}; Path=/admin; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isSecure ? '; Secure' : ''}`;
}

/** Browsers say where a form came from; one that says nothing has only the token to show. */
function requireOurPage(ctx: Context): void {
  const { origin, 'sec-fetch-site': site } = ctx.req.headers;
  const isForeign = site !== undefined && site !== 'same-origin' && site !== 'none';
  const host = ctx.req.headers.host ?? '';
  const isElsewhere =
    origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
  if (isForeign || isElsewhere) throw foreign();
}

function foreign(): AppError {
  return new AppError(
    'forbidden',
    'This form did not come from a page of this server, or its session ended. Open the page again.',
  );
}

async function readForm(ctx: Context): Promise<URLSearchParams> {
  const bytes = await readBody(ctx.req, MAX_FORM_BYTES);
  return new URLSearchParams(bytes.toString('utf8'));
}

export function show(
  ctx: Context,
  { mode }: Pick<PageOptions, 'mode'>,
  frame: { title: string; path: string | null; csrf: string; notice: Piece },
  main: Html,
  status = 200,
): void {
  sendHtml(ctx, status, layout({ ...frame, isSandbox: mode === 'sandbox' }, main));
}

export function sendHtml(ctx: Context, status: number, text: string): void {
  const bytes = Buffer.from(text);
  const { headers } = ctx.state;
  headers['content-type'] = 'text/html; charset=utf-8';
  headers['content-length'] = String(bytes.length);
  ctx.res.writeHead(status, headers);
  ctx.res.end(bytes);
}

export function redirect(ctx: Context, to: string): void {
  ctx.state.headers['location'] = to;
  ctx.state.headers['content-length'] = '0';
  ctx.res.writeHead(303, ctx.state.headers);
  ctx.res.end();
}
