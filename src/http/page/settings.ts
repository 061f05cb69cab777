/** The settings in force, no secret among them, and the button that takes the file over again. */
import { describeConfig } from '../../config/describe.ts';
import { AppError } from '../../errors.ts';
import { html, type Html } from './html.ts';
import { form, type FormAnswer, page } from './page.ts';
import type { SetupPageOptions } from './setup.ts';

const PATH = '/admin/settings';

/** GET /admin/settings */
export function settingsPage(options: SetupPageOptions) {
  const { setup } = options;
  return page(options, {
    title: 'Settings',
    path: PATH,
    run: ({ session }) => {
      const { config } = setup;
      const described = describeConfig(config) as unknown as Record<string, unknown>;
      const { file, isFileFixed } = config.origin ?? { file: null, isFileFixed: false };
      const notes = config.origin?.notes ?? [];
      return Promise.resolve(
        html`<p>
            ${
              file === null
                ? 'No settings file: everything comes from the environment and from defaults.'
                : html`From <code>${file}</code>${isFileFixed && ' (FAREBOX_CONFIG)'}, the
                    environment, and defaults.`
            }
            Secrets are not shown.
          </p>
          ${
            notes.length > 0 &&
            html`<ul class="attention">
              ${notes.map((note) => html`<li>${note}</li>`)}
            </ul>`
          }
          <div class="row">
            <form method="post" action="/admin/settings/reload">
              <input type="hidden" name="csrf" value="${session.csrf}" />
              <button>Read the file again</button>
            </form>
            <a href="/admin/setup">Set up anew</a> <a href="/admin/self-test">Self-test</a>
          </div>
          ${Object.entries(described).map(([name, value]) => section(name, value))}`,
      );
    },
  });
}

/** POST /admin/settings/reload: what SIGHUP does, and a restart inside the process where that takes one. */
export function reloadSettings(options: SetupPageOptions) {
  return form(options, ({ ctx }): Promise<FormAnswer> => {
    const { apply } = options.setup;
    if (!apply)
      throw new AppError('state_conflict', 'This process cannot read its settings again.');
    ctx.res.once('close', () => void apply());
    const notice =
      'The file is being read. Where it is wrong the old settings stay, and the log says why.';
    return Promise.resolve({ to: PATH, notice });
  });
}

function section(name: string, value: unknown): Html {
  return html`<details class="card" ${name !== 'models' && html` open`}>
    <summary><h2>${name}</h2></summary>
    <pre>${JSON.stringify(value, null, 2)}</pre>
  </details>`;
}
