/** The settings in force, no secret among them, and the button that takes the file over again. */
import { describeConfig } from '../../config/describe.ts';
import { ConfigError } from '../../config/fault.ts';
import { AppError } from '../../errors.ts';
import { html, type Html } from './html.ts';
import { form, type FormAnswer, page } from './page.ts';
import { whatChanged } from './reloaded.ts';
import { settingsSections } from './settings-sections.ts';
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
              <button>Read the settings file again</button>
            </form>
            <a href="/admin/setup">Set up anew</a> <a href="/admin/self-test">Self-test</a>
          </div>
          ${settingsSections(JSON.parse(JSON.stringify(described)) as Record<string, unknown>)}`,
      );
    },
  });
}

/** POST /admin/settings/reload: what SIGHUP does. */
export function reloadSettings(options: SetupPageOptions) {
  return form(options, async ({ operator }): Promise<FormAnswer> => {
    try {
      const reloaded = await options.setup.apply(operator);
      if (!reloaded)
        throw new AppError('state_conflict', 'This process cannot read its settings again.');
      const main = html`${whatChanged(reloaded)}
        <p><a href="${PATH}">To the settings</a></p>`;
      return { title: 'The settings were read', path: PATH, main };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { title: 'Nothing was changed', path: PATH, main: faultsOf(error) };
    }
  });
}

function faultsOf({ faults }: ConfigError): Html {
  return html`<p>The settings have faults. The server goes on with those that it had.</p>
    <ul class="attention" role="alert">
      ${faults.map(({ path, message }) => html`<li class="bad">${path}: ${message}</li>`)}
    </ul>
    <p><a href="${PATH}">To the settings</a></p>`;
}
