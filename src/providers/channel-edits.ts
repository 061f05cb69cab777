/** What one channel differs in from its dialect: headers and fields that are added, changed or left out. */
import type { ChannelConfig } from '../config/config.ts';
import type { Splices } from './splices.ts';

/** The dialect's headers, then the channel's own; lower-case names. */
export function withChannelHeaders(
  dialect: Record<string, string>,
  { headers, removeHeaders }: Pick<ChannelConfig, 'headers' | 'removeHeaders'>,
): Record<string, string> {
  const all = { ...dialect };
  for (const name of removeHeaders) delete all[name];
  for (const [name, value] of Object.entries(headers)) all[name.toLowerCase()] = value;
  return all;
}

/** After every other change, so that the channel has the last word. */
export function spliceParams(splices: Splices, { params }: Pick<ChannelConfig, 'params'>): void {
  for (const name of params.remove) splices.remove(name);
  for (const [name, json] of Object.entries(params.set)) splices.setValue(name, json);
}

/** The same for a body that is not written yet. */
export function withParams(
  fields: Record<string, unknown>,
  { params }: Pick<ChannelConfig, 'params'>,
): Record<string, unknown> {
  const all = { ...fields };
  for (const name of params.remove) delete all[name];
  for (const [name, json] of Object.entries(params.set)) all[name] = JSON.parse(json) as unknown;
  return all;
}
