/** What a browser is shown while the server is not set up. Programs are told in JSON, as everywhere. */
import { HTML, JSON_TYPE } from '../discovery/described.ts';
import { sendHtml } from '../page/page.ts';
import type { Step } from '../in-turn.ts';
import { html } from '../page/html.ts';
import type { StepOptions } from '../steps.ts';
import { layout, SECURITY } from './layout.ts';

/** In the place of whileOpen, for pages. */
export function whileOpenTo({
  closedBecause,
  port,
}: Pick<StepOptions, 'closedBecause'> & { port(): number }): Step {
  return (ctx, next) => {
    const closed = closedBecause();
    if (!closed) return next();
    // The first is for those who take anything.
    const isBrowser = ctx.accepts(JSON_TYPE, HTML) === HTML;
    if (closed.code !== 'not_configured' || !isBrowser) throw closed;
    const at = port();
    const main = html`<p>This server runs, and waits for its operator. Nothing is sold yet.</p>
      <h2>If it is yours</h2>
      <ol>
        <li>The log of its first start shows a claim link, good once and for a day. Open it.</li>
        <li>
          The page answers over https, or on the machine itself. From yours, open a tunnel first:
          <pre><code>ssh -L ${at}:127.0.0.1:${at} you@your-server</code></pre>
        </li>
        <li>Is the link too old? Restart the server, and its log shows a new one.</li>
      </ol>`;
    Object.assign(ctx.state.headers, SECURITY, {
      'retry-after': String(closed.retryAfterSeconds ?? 60),
      vary: `${ctx.state.headers['vary']}, Accept`,
    });
    sendHtml(ctx, 503, layout('Not set up yet', main));
    return Promise.resolve();
  };
}
