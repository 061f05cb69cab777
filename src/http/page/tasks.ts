/** /admin/tasks: media tasks of everybody, one with its events and results, and cancelling. */
import type { TaskRow } from '../../db/tables.ts';
import type { MediaStore, MediaView } from '../../media/store.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { AdminOptions } from '../admin/options.ts';
import { idOf, post, reasonField } from './actions.ts';
import { html, type Html, type Piece } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import { form, type Page, type PageOptions } from './page.ts';
import { badge, facts, field, figure, select, table, time, usd } from './pieces.ts';
import { AppError } from '../../errors.ts';

export type TasksPageOptions = Pick<AdminOptions, 'operator'> & {
  media: MediaStore;
  tasks: Pick<Tasks, 'cancelAny'>;
};

const PATH = '/admin/tasks';
const STATES = ['pending', 'processing', 'completed', 'failed', 'cancelled', 'expired'] as const;
const TONES = {
  pending: 'warn',
  processing: 'warn',
  completed: 'good',
  failed: 'bad',
  cancelled: 'plain',
  expired: 'bad',
} as const;

export function tasksPage({ operator }: Pick<AdminOptions, 'operator'>): Page {
  return {
    title: 'Tasks',
    path: PATH,
    run: async (call) => {
      const filter = { state: chosen(call, 'state', STATES), accountId: sought(call, 'accountId') };
      const found = await operator.tasks.list(call.operator, { ...filter, ...pageOf(call) });
      const { rows, next } = cut(call, found, ({ id }) => id);
      return html`${search(
        PATH,
        html`${select('State', 'state', anyOf(STATES), filter.state)}
        ${field('Account', 'accountId', { value: filter.accountId ?? '' })}`,
      )}
      ${table(
        [
          { title: 'Task', cell: ({ id }) => link(PATH, id) },
          { title: 'When', cell: ({ created_at: at }) => time(at) },
          { title: 'Kind', cell: ({ kind }) => kind },
          { title: 'Model', cell: ({ model }) => model },
          { title: 'State', cell: ({ state }) => badge(state, TONES[state]) },
          { title: 'Progress', isNumber: true, cell: ({ progress }) => `${progress} %` },
          { title: 'Held', isNumber: true, cell: ({ held }) => usd(held) },
          { title: 'Charged', isNumber: true, cell: ({ charged }) => usd(charged) },
        ],
        rows,
        { empty: 'No task is like that.', next },
      )}`;
    },
  };
}

export function taskPage({ operator, media }: TasksPageOptions): Page {
  return {
    title: 'Task',
    path: PATH,
    run: async (call) => {
      const id = idOf(call);
      const row = await operator.tasks.one(call.operator, id);
      const events = await operator.tasks.events(call.operator, id);
      const results = await media.ofTasks([id]);
      const isOpen = row.state === 'pending' || row.state === 'processing';
      return html`<p>${badge(row.state, TONES[row.state])} <code>${id}</code></p>
        <dl class="figures">
          ${figure('Model', row.model)} ${figure('Most it could cost', usd(row.held))}
          ${figure('Charged', usd(row.charged))} ${figure('Progress', `${row.progress} %`)}
        </dl>
        ${results.map((result) => shown(media.view(result)))} ${known(row)}
        <p>
          <a href="/admin/webhooks?taskId=${id}">Its webhooks</a>
        </p>
        <h2>Events</h2>
        ${table(
          [
            { title: 'When', cell: ({ at }) => time(at) },
            { title: 'What', cell: ({ type }) => type },
            { title: 'Told', cell: ({ payload }) => html`<code>${payload}</code>` },
          ],
          events,
          { empty: 'None, or forgotten by now.' },
        )}
        ${
          isOpen &&
          html`<details class="card">
            <summary>Cancel</summary>
            ${post(call, `${PATH}/${id}/cancel`, reasonField('cancel'), {
              button: 'Cancel this task',
              tone: 'danger',
              confirm: 'Cancel this task of a customer?',
            })}
          </details>`
        }`;
    },
  };
}

function known(row: TaskRow): Html {
  const lines: [string, Piece][] = [
    ['Account', link('/admin/accounts', row.account_id)],
    ['Key', link('/admin/keys', row.key_id)],
    ['Request', html`<code>${row.request_id}</code>`],
    ['Channel', row.channel_id ?? '–'],
    ['Tried on', row.tried === '[]' ? '–' : row.tried],
    ['Began', time(row.started_at)],
    ['Ended', time(row.ended_at)],
    ['Next look', time(row.next_at)],
    ['Looks', row.polls],
    ['Error', row.error_code === null ? '–' : `${row.error_code}: ${row.error_message ?? ''}`],
  ];
  return facts(lines);
}

/** Of our own links alone, by their path: pages load nothing from elsewhere. */
function shown({ url, content_type: type, bytes }: MediaView): Html {
  const { pathname } = new URL(url, 'http://localhost');
  return html`<figure class="card">
    ${
      type.startsWith('image/')
        ? html`<img src="${pathname}" alt="Result of the task" loading="lazy" />`
        : type.startsWith('video/')
          ? html`<video src="${pathname}" controls preload="metadata"></video>`
          : type.startsWith('audio/')
            ? html`<audio src="${pathname}" controls preload="metadata"></audio>`
            : html`<a href="${pathname}">${type}</a>`
    }
    <figcaption class="soft">${type}, ${bytes.toLocaleString('en')} bytes</figcaption>
  </figure>`;
}

/** POST /admin/tasks/{id}/cancel */
export function cancelTask(options: PageOptions & TasksPageOptions) {
  return form(options, async (call) => {
    const id = idOf(call);
    const reason = (call.form.get('reason') ?? '').trim().slice(0, 500);
    if (reason.length < 3) throw new AppError('invalid_request', 'reason: must say why.');
    await options.tasks.cancelAny(call.operator, id, reason);
    return { to: `${PATH}/${id}`, notice: 'The task is cancelled; what was held is given back.' };
  });
}
