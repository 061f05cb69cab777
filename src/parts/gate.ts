/** Whether the server serves, and where it is reached: known little by little while it starts. */
import type { Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Origins, originsOf } from '../http/origins.ts';

export class Gate {
  port: number;
  /** Of the operator's own listener; null without one. */
  admin: number | null = null;
  readonly origins: Origins;
  #closed: AppError | null = starting();
  #missing: AppError | null = null;

  constructor(port: number, origins: Origins) {
    this.port = port;
    this.origins = origins;
  }

  /** Null while it serves. */
  get closedBecause(): AppError | null {
    return this.#closed ?? this.#missing;
  }

  /** Where operators reach it. */
  get operatorPort(): number {
    return this.admin ?? this.port;
  }

  listens({ port, admin }: { port: number; admin: number | null }, config: Config): void {
    Object.assign(this, { port, admin });
    this.adjust(config);
  }

  /** To these settings. */
  adjust(config: Config): void {
    this.origins.set(originsOf(config.server, this.port));
    this.#missing = missing(config, this.origins.dialled(undefined));
  }

  open(): void {
    this.#closed = null;
  }

  close(): void {
    this.#closed = stopping();
  }
}

function starting(): AppError {
  return new AppError('unavailable', 'The server is starting.', { retryAfterSeconds: 1 });
}

function stopping(): AppError {
  return new AppError('unavailable', 'The server is stopping.', { retryAfterSeconds: 5 });
}

/** Set-up mode: health and the operator's site answer, nothing is sold. */
function missing({ mode, channels }: Config, url: string): AppError | null {
  if (url === '') return notConfigured('set PUBLIC_URL to the address that clients dial.');
  if (mode === 'sandbox' || channels.length > 0) return null;
  return notConfigured('it has nothing to sell. Open /admin, or set an upstream key.');
}

function notConfigured(how: string): AppError {
  return new AppError('not_configured', `This server is not set up: ${how}`, {
    retryAfterSeconds: 60,
  });
}
