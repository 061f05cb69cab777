/** `media` and `webhooks`: where results are kept, and where callbacks may lead. */
import type { MediaConfig, Mode, S3Config, ServerConfig, WebhooksConfig } from './config.ts';
import { secretProblem } from './environment.ts';
import type { Faults, Path } from './fault.ts';
import type { RawFile, RawS3 } from './raw.ts';
import { checkCidrs } from './server.ts';
import { isListenHost, isLoopbackUrl } from './urls.ts';

const DAY_MS = 86_400_000;
/** What S3 takes, and every server like it. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[A-Za-z0-9_./-]{0,200}$/;
/** Plain http too: what is sent is signed, the key itself never is, and many stand in the same network. */
const ENDPOINT = /^https?:\/\/[^/?#@\s\\]+(\/[\w./-]*)?$/i;
const LOOPBACK = ['127.0.0.0/8', '::1'];
const EVERY_PORT = 0;

export function readMedia({ media: raw }: RawFile, faults: Faults): MediaConfig {
  const path = ['media', 's3'];
  if (raw.store === 's3' && raw.s3 === undefined) {
    faults.add(path, 'is missing; it must be a block of settings, because media.store is s3');
  }
  return {
    store: raw.store,
    retentionMs: raw.retention_days * DAY_MS,
    maxBytes: raw.max_bytes,
    s3: raw.s3 === undefined ? null : readS3(raw.s3, path, faults),
  };
}

export function readS3(raw: RawS3, path: Path, faults: Faults): S3Config {
  const { bucket = '', endpoint = '', region, prefix } = raw;
  if (raw.endpoint !== undefined && !ENDPOINT.test(endpoint)) {
    faults.add([...path, 'endpoint'], 'must be a URL like https://s3.example.com, without a query');
  }
  if (raw.bucket !== undefined && !BUCKET.test(bucket)) {
    faults.add([...path, 'bucket'], 'must be the name of a bucket');
  }
  const isPlain = PREFIX.test(prefix) && !prefix.startsWith('/') && !prefix.includes('..');
  if (!isPlain) faults.add([...path, 'prefix'], 'must be plain text like farebox/media/');
  for (const name of ['access_key', 'secret_key'] as const) {
    const wrong = raw[name] === undefined ? null : secretProblem(raw[name].trim());
    if (wrong !== null) faults.add([...path, name], wrong);
  }
  return {
    bucket,
    endpoint: endpoint.replace(/\/+$/, ''),
    region,
    prefix,
    accessKey: raw.access_key?.trim() ?? '',
    secretKey: raw.secret_key?.trim() ?? '',
  };
}

/** A sandbox that only this machine reaches may call back to it. */
export function readWebhooks(
  { webhooks: raw }: RawFile,
  { mode, host }: { mode: Mode; host: ServerConfig['host'] },
  faults: Faults,
): WebhooksConfig {
  checkCidrs(raw.allow_private, ['webhooks', 'allow_private'], faults);
  const allowPrivate = raw.allow_private.filter((cidr) => cidr !== undefined);
  const ports = raw.ports.filter((port) => port !== undefined);
  const isAtHome = mode === 'sandbox' && isLoopback(host);
  return isAtHome
    ? { allowPrivate: [...allowPrivate, ...LOOPBACK], ports: [EVERY_PORT] }
    : { allowPrivate, ports };
}

function isLoopback(host: string): boolean {
  return isListenHost(host) && isLoopbackUrl(`http://${host.includes(':') ? `[${host}]` : host}`);
}
