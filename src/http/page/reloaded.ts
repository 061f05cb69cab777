/** What reading the settings again came to, as a list. */
import type { Reloaded } from '../../config/changes.ts';
import { html, type Html } from './html.ts';

export function whatChanged({ changes, needsRestart }: Reloaded): Html {
  return html`${
    changes.length
      ? html`<ul>
          ${changes.map((line) => html`<li>${line}</li>`)}
        </ul>`
      : html`<p>Nothing changed.</p>`
  }
  ${
    needsRestart.length > 0 &&
    html`<p class="attention" role="alert">
      Restart the server to take over what cannot change while it runs: ${needsRestart.join(', ')}.
    </p>`
  }`;
}
