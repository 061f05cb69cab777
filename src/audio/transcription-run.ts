/** A transcription is read whole, charged, then passed on, so that its headers carry the final figures. */
import { askWhole, withoutSecrets } from '../chat/whole.ts';
import type { Resolution } from '../ledger/ledger.ts';
import { formatUsd } from '../money.ts';
import type { Measured } from '../orders/order.ts';
import { findEars, type HeardMeasured } from '../providers/audio.ts';
import { headerCost } from '../providers/reported.ts';
import { audioHeaders, billFor } from './bill.ts';
import type { AudioJob, AudioTools } from './path.ts';
import { failed, mediaType, refusalOf } from './refusal.ts';
import type { Recorded } from './transcription.ts';

type Job = AudioJob<Recorded>;

/** What a browser may be given as it is; anything else is text to it. */
const TYPES = new Set(['application/json', 'text/plain', 'text/vtt', 'text/event-stream']);

/** A caller that leaves does not stop it: it is awaited within the channel's total time and charged, because the upstream charges too. */
export async function runTranscription(job: Job, tools: AudioTools): Promise<'good'> {
  const { call, request, route, secrets } = job;
  const ears = findEars(route.channel.provider);
  const way = route.own?.keyed ?? route.channel;
  const message = ears.transcription(way, request.heard, route.upstreamModel);
  const mayBegin = () => !call.signal.aborted;
  const answer = await askWhole(tools.upstream, route.channel, message, mayBegin);
  if (answer.status < 200 || answer.status >= 300) throw refusalOf(job, tools, answer);
  const said = mediaType(answer.headers['content-type']);
  const heard = ears.readAnswer({ contentType: said, body: answer.body }, route.channel);
  if (!heard) throw failed('The upstream sent no transcription.');
  heard.upstreamCostUsd ??= headerCost(answer.headers, route.channel.reportedCost);
  const { measured, isEstimated } = measuredOf(job, heard);
  const type = `${TYPES.has(said) ? said : 'text/plain'}; charset=utf-8`;
  const body = withoutSecrets(answer.body, secrets);
  const head = (resolution: Resolution | null) => ({
    status: 200,
    headers: headersOf(job, { type, body }, resolution),
  });
  const bill = billFor(job, tools, measured, { isEstimated });
  const resolution = await job.settlement.finish(bill, (charged) => ({
    head: head(charged),
    bytes: body,
  }));
  const { status, headers } = head(resolution);
  call.reply.head(status, headers);
  call.reply.end(body);
  return 'good';
}

/** What was reported counts; else the length that was counted here, or what such a file usually is. */
function measuredOf(
  { request: { length }, plan }: Job,
  { seconds, tokens, upstreamCostUsd }: HeardMeasured,
): { measured: Measured; isEstimated: boolean } {
  const { maxInputSeconds } = plan.entry.model.params;
  const known = length ? length.seconds : maxInputSeconds;
  const units = {
    input_second: seconds === null ? known : Math.min(seconds, Math.max(maxInputSeconds, known)),
    ...(tokens && { input_token: tokens.input, output_token: tokens.output }),
  };
  const isReported = seconds !== null || tokens !== null || (length?.isCounted ?? false);
  const measured = { units, ...(upstreamCostUsd !== null && { upstreamCostUsd }) };
  return { measured, isEstimated: !isReported };
}

function headersOf(
  job: Job,
  { type, body }: { type: string; body: Buffer },
  resolution: Resolution | null,
): Record<string, string> {
  const headers = audioHeaders(job, type, resolution);
  if (resolution) headers['x-request-cost'] = formatUsd(resolution.charged);
  headers['content-length'] = String(body.length);
  return headers;
}
