/** What an upstream is sent for a job: the request of its submit, which is refused. */
import type { ChannelConfig } from '../../src/config/config.ts';
import { atWork, mediaChannel, type MediaUpstream, type Recorded } from './media-upstream.ts';

export type Given = Omit<Parameters<typeof atWork>[1], 'channel' | 'upstreamModel'> & {
  channel?: Partial<ChannelConfig>;
  model?: string;
};

export async function sentTo(
  upstream: MediaUpstream,
  provider: string,
  { channel, model = 'm1', ...job }: Given,
): Promise<Recorded> {
  upstream.forget();
  upstream.next({ status: 400, json: { error: 'seen enough' } });
  await using work = atWork(provider, {
    ...job,
    upstreamModel: model,
    channel: mediaChannel(`${upstream.url}/v1`, channel),
  });
  await work.start();
  return upstream.requests.at(-1)!;
}

export function formOf({ body, headers }: Recorded): Promise<FormData> {
  const type = { 'content-type': headers['content-type'] ?? '' };
  return new Response(new Uint8Array(body), { headers: type }).formData();
}
