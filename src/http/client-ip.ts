/**
 * Who is at the other end. X-Forwarded-For is written by anybody who likes, so it counts only as far as a trusted proxy wrote it:
 * from the right, past every address of ours, the first that is not.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { ipRanges, plainIp } from '../ip-ranges.ts';

export type ClientIp = (request: IncomingMessage) => string;

/** Longer chains are somebody's joke; what is left of these is not looked at. */
const MAX_HOPS = 16;

/** `trustedProxies`: CIDRs or single addresses; none means that the header is never read. */
export function clientIp(trustedProxies: string[]): ClientIp {
  const isTrusted = ipRanges(trustedProxies);
  return (request) => {
    const peer = plain(request.socket.remoteAddress ?? '');
    if (!trustedProxies.length || !isTrusted(peer)) return peer;
    let client = peer;
    for (const hop of forwardedFor(request)) {
      // What is no address was not written by a proxy: whoever passed it on is the best that is known.
      if (isIP(hop) === 0) return client;
      client = hop;
      if (!isTrusted(hop)) return client;
    }
    return client;
  };
}

/** Nearest hop first. Several lines are one list, in their order (RFC 9110, 5.3). */
function forwardedFor(request: IncomingMessage): string[] {
  const said = request.headers['x-forwarded-for'];
  if (said === undefined) return [];
  const list = Array.isArray(said) ? said.join(',') : said;
  return list.split(',').slice(-MAX_HOPS).toReversed().map(plain);
}

/** "::ffff:10.0.0.5" is 10.0.0.5, so that rules for IPv4 hold for it; brackets and ports of some proxies go. */
function plain(text: string): string {
  let address = text.trim();
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(address);
  if (bracketed) address = bracketed[1]!;
  else if (/^[\d.]+:\d+$/.test(address)) address = address.slice(0, address.indexOf(':'));
  return plainIp(address);
}
