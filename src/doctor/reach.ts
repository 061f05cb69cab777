/** Whether PUBLIC_URL leads here, and what lies in between. */
import type { Config } from '../config/config.ts';
import { bad, type Finding, good, warn } from './finding.ts';

const REQUEST_MS = 10_000;
/** What a payment in a header takes, with a sign-in beside it. */
const LEAST_HEADER_BYTES = 12_288;

export function checkHeaderSize({ limits }: Config): Finding {
  const { headerBytes } = limits;
  if (headerBytes >= LEAST_HEADER_BYTES) return good('headers', `up to ${headerBytes} bytes`);
  return warn(
    'headers',
    `limits.header_bytes is ${headerBytes}`,
    `set it to at least ${LEAST_HEADER_BYTES}: payments travel in headers`,
  );
}

/** Asks the way that clients take. A server that does not run yet cannot answer. */
export async function checkReach({ server, mode }: Config): Promise<Finding[]> {
  const { publicUrl, host, trustedProxies, adminListen } = server;
  const isLoopback = /^(localhost|127\.|::1$)/.test(host);
  const findings: Finding[] = adminListen ? [ownListener(adminListen)] : [];
  if (publicUrl === null) {
    if (isLoopback) return [...findings, good('address', 'on this machine only')];
    return [
      ...findings,
      bad(
        'address',
        'PUBLIC_URL is not set: paid routes answer 503',
        'set PUBLIC_URL to the address that clients dial',
      ),
    ];
  }
  if (mode === 'live' && !publicUrl.startsWith('https:')) {
    findings.push(
      warn(
        'address',
        `${publicUrl} is not https: keys and sign-ins cross the net in the clear`,
        'put a proxy with TLS in front (config/compose)',
      ),
    );
  }
  const answer = await fetch(`${publicUrl}/health`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(REQUEST_MS),
  }).catch(() => null);
  if (!answer)
    return [
      ...findings,
      warn(
        'address',
        `${publicUrl} does not answer`,
        'start the server, or mend DNS and the proxy',
      ),
    ];
  const body = await answer.text().catch(() => '');
  if (answer.status !== 200 || !body.includes('"ok"')) {
    return [
      ...findings,
      bad(
        'address',
        `${publicUrl}/health answers ${answer.status}, and not as Farebox does`,
        'mend the proxy: it must pass every path on',
      ),
    ];
  }
  if (answer.headers.get('x-request-id') === null) {
    findings.push(
      warn('address', 'the proxy takes the X-… headers out', 'let it pass all headers on'),
    );
  }
  if (!isLoopback && !trustedProxies.length && publicUrl.startsWith('https:')) {
    findings.push(
      warn(
        'address',
        'a proxy ends TLS and is not trusted: all callers share its address',
        'list its address in server.trusted_proxies',
      ),
    );
  }
  return [...findings, good('address', `${publicUrl} leads here`)];
}

/** Only said: the pages refuse whatever comes neither over https nor from the machine itself, but the figures do not. */
function ownListener({ host, port }: { host: string; port: number }): Finding {
  const isLoopback = /^(localhost|127\.|::1$)/.test(host);
  if (isLoopback) return good('operator', `/admin and /metrics answer on ${host}:${port} alone`);
  return warn(
    'operator',
    `/metrics answers without a key to whoever reaches ${host}:${port}`,
    'set server.admin_listen to 127.0.0.1, or close the port to others',
  );
}
