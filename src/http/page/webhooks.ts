/** /admin/webhooks: deliveries of everybody, and one more try. Of a callback only its origin is shown: the rest is its owner's. */
import type { Webhooks } from '../../webhooks/webhooks.ts';
import { redeliverOne } from '../webhooks/admin.ts';
import { act, post } from './actions.ts';
import { html } from './html.ts';
import { anyOf, chosen, cut, link, pageOf, search, sought } from './lists.ts';
import type { Page, PageOptions } from './page.ts';
import { badge, field, select, table, time } from './pieces.ts';

const PATH = '/admin/webhooks';
const STATES = ['pending', 'delivered', 'failed'] as const;
const TONES = { pending: 'warn', delivered: 'good', failed: 'bad' } as const;

export function webhooksPage({ webhooks }: { webhooks: Webhooks }): Page {
  return {
    title: 'Webhooks',
    path: PATH,
    run: async (call) => {
      const filter = {
        state: chosen(call, 'state', STATES),
        accountId: sought(call, 'accountId'),
        taskId: sought(call, 'taskId'),
      };
      const found = await webhooks.list({ ...filter, ...pageOf(call) });
      const { rows, next } = cut(call, found, ({ id }) => id);
      return html`${search(
        PATH,
        html`${select('State', 'state', anyOf(STATES), filter.state)}
        ${field('Account', 'accountId', { value: filter.accountId ?? '' })}
        ${field('Task', 'taskId', { value: filter.taskId ?? '' })}`,
      )}
      ${table(
        [
          { title: 'When', cell: ({ created_at: at }) => time(at) },
          { title: 'Event', cell: ({ event }) => event },
          { title: 'Task', cell: ({ task_id: id }) => link('/admin/tasks', id) },
          { title: 'To', cell: ({ origin }) => html`<span class="mono">${origin}</span>` },
          { title: 'State', cell: ({ state }) => badge(state, TONES[state]) },
          { title: 'Tries', isNumber: true, cell: ({ attempts }) => attempts },
          { title: 'Next', cell: ({ next_at: at }) => time(at) },
          {
            title: 'Last answer',
            cell: ({ last_status: status, last_error: error }) =>
              [status, error].filter((part) => part !== null).join(' ') || '–',
          },
          {
            title: '',
            cell: ({ id }) =>
              post(call, `${PATH}/${id}/redeliver`, null, { button: 'Send again', tone: 'quiet' }),
          },
        ],
        rows,
        { empty: 'No webhook is like that.', next },
      )}`;
    },
  };
}

/** POST /admin/webhooks/{id}/redeliver */
export function redeliver(options: PageOptions & { webhooks: Webhooks }) {
  return act(options, {
    operation: redeliverOne(options),
    done: () => ({ to: PATH, notice: 'It is sent again, under the same id.' }),
  });
}
