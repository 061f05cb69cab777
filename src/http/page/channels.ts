/** /admin/channels: how they are, what they took and cost, on and off, and a look at whether one answers. */
import { askUpstream } from '../../doctor/upstreams.ts';
import type { ChannelConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { BreakerState } from '../../routing/breaker.ts';
import type { Served } from '../../usage/channels.ts';
import { listChannels, switchChannel } from '../admin/channels.ts';
import type { AdminOptions } from '../admin/options.ts';
import { act, idOf, post, reasonField, run, said } from './actions.ts';
import { html, type Html, type Piece } from './html.ts';
import { form, type Page, type PageCall, type PageOptions } from './page.ts';
import { badge, figure } from './pieces.ts';

const PATH = '/admin/channels';

/** As the operator's API shows it. */
interface ChannelView {
  id: string;
  provider: string;
  vendor: string | null;
  group: string;
  priority: number;
  weight: number;
  isOn: boolean;
  switched: { at: string; actor: string; reason: string } | null;
  health: { model: string; state: BreakerState }[];
  latency: Record<'firstByteMs' | 'answerMs', { p50: number | null; p95: number | null }>;
  served: {
    requests: number;
    revenueUsd: string;
    upstreamUsd: string;
    marginUsd: string | null;
  } & Pick<Served, 'uncosted'>;
  attempts: { attempts: number; good: number; failed: number; busy: number };
  costDrift: number;
}

export function channelsPage(options: AdminOptions): Page {
  const list = listChannels(options);
  return {
    title: 'Channels',
    path: PATH,
    run: async (call) => {
      const { data } = (await run(list, call, {})) as { data: ChannelView[] };
      if (!data.length)
        return html`<p class="empty">There is none: <a href="/admin/setup">set one up</a>.</p>`;
      return html`<p class="soft">Money and attempts are those of the last 30 days.</p>
        ${data.map((channel) => shown(call, channel))}`;
    },
  };
}

function shown(call: PageCall, channel: ChannelView): Html {
  const { id, served, attempts, latency, isOn, switched } = channel;
  const rate = attempts.attempts
    ? `${Math.round((100 * attempts.good) / attempts.attempts)} %`
    : '–';
  return html`<section class="card" id="${id}" aria-label="${id}">
    <h2>${id} ${isOn ? badge('on', 'good') : badge('off', 'bad')} ${health(channel)}</h2>
    <p class="soft">
      ${channel.provider}${channel.vendor !== null && `, ${channel.vendor}`}; group
      ${channel.group}, priority ${channel.priority}, weight ${channel.weight}
      ${switched && html`<br />${isOn ? 'on' : 'off'} since ${switched.at.slice(0, 16)} by ${switched.actor}: ${switched.reason}`}
    </p>
    <dl class="figures">
      ${figure('Calls', served.requests)} ${figure('Revenue', `$${served.revenueUsd}`)}
      ${figure('Cost', `$${served.upstreamUsd}`, served.uncosted > 0 && `${served.uncosted} calls unknown`)}
      ${figure('Margin', served.marginUsd === null ? '–' : `$${served.marginUsd}`)}
      ${figure('Good attempts', rate, `${attempts.failed} failed, ${attempts.busy} busy`)}
      ${figure('First byte, p95', ms(latency.firstByteMs.p95), latency.firstByteMs.p50 !== null && `half within ${ms(latency.firstByteMs.p50)}`)}
      ${figure('Cost off its rules', `${Math.round(channel.costDrift * 100)} %`)}
    </dl>
    <div class="row spaced">
      ${post(call, `${PATH}/${id}/test`, null, { button: 'Test now', tone: 'quiet' })}
      <details>
        <summary>Turn ${isOn ? 'off' : 'on'}</summary>
        ${post(
          call,
          `${PATH}/${id}`,
          html`<input type="hidden" name="isOn" value="${isOn ? 'no' : 'yes'}" />
            ${reasonField(`turn-${id}`)}`,
          { button: isOn ? 'Turn off' : 'Turn on', tone: isOn ? 'danger' : '' },
        )}
      </details>
    </div>
  </section>`;
}

function ms(value: number | null): string {
  return value === null ? '–' : `${value} ms`;
}

/** The breakers that are not closed. */
function health({ health: states }: ChannelView): Piece {
  const sick = states.filter(({ state }) => state !== 'closed');
  if (!sick.length) return states.length > 0 && badge('healthy', 'good');
  return sick.map(({ model, state }) =>
    badge(`${model}: ${state}`, state === 'open' ? 'bad' : 'warn'),
  );
}

/** POST /admin/channels/{id} */
export function turnChannel(options: PageOptions & AdminOptions) {
  return act(options, {
    operation: switchChannel(options),
    fields: (fields) => ({ ...said(fields), isOn: fields.get('isOn') === 'yes' }),
    done: (_answer, call) => ({ to: PATH, notice: `${idOf(call)} is as you said.` }),
  });
}

/** POST /admin/channels/{id}/test: what its server lists for our key. Nothing is bought. */
export function testChannel(options: PageOptions & AdminOptions) {
  return form(options, async (call) => {
    const channel = options.operator.routing.channels().find(({ id }) => id === idOf(call));
    if (!channel) throw new AppError('not_found', 'There is no such channel.');
    const main = html`<section class="card">${await tested(channel)}</section>
      <p><a href="${PATH}">All channels</a></p>`;
    return { title: `Test of ${channel.id}`, path: PATH, main };
  });
}

async function tested(channel: ChannelConfig): Promise<Html> {
  const began = performance.now();
  try {
    const answer = await askUpstream(channel);
    const took = Math.round(performance.now() - began);
    if (!answer)
      return html`<p>
        ${badge('not testable')} Its kind of upstream has nothing to ask that costs nothing.
      </p>`;
    return html`<p>
        ${badge('it answers', 'good')} in ${took} ms, and takes the key. Nothing was bought.
      </p>
      ${answer.models && html`<p>It lists ${answer.models.length} models.</p>`}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : 'it does not answer';
    return html`<p>${badge('it does not work', 'bad')} ${message}</p>`;
  }
}
