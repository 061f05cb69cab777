/** What must not be handed on, whatever an upstream echoes. */
import type { ChannelConfig } from '../config/config.ts';

/** Shorter ones are no keys, and would blot out ordinary words. */
const SHORTEST_SECRET = 8;
const secretsByChannel = new WeakMap<ChannelConfig, string[]>();

/** The channel's key, and whatever its configured headers carry as credentials. */
export function secretsOf(channel: ChannelConfig): string[] {
  const known = secretsByChannel.get(channel);
  if (known) return known;
  const secrets: string[] = [];
  if (channel.apiKey !== null) secrets.push(channel.apiKey);
  for (const [name, value] of Object.entries(channel.headers)) {
    if (/auth|key|token|secret/i.test(name)) secrets.push(value.replace(/^Bearer\s+/i, ''));
  }
  const long = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
  secretsByChannel.set(channel, long);
  return long;
}
