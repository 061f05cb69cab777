/**
 * Structured log lines, one JSON object each. Callers pass named fields only: never bodies, headers, keys, signatures or URLs
 * with credentials. As a second line of defence the logger masks fields whose names say that they are secret.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Record<string, unknown>;

export interface Log {
  /** False where lines of level debug go nowhere: their fields need not be made. */
  hasDebug?: boolean;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error'];
const SECRET_NAME =
  /authorization|api[-_]?key|secret|signature|token$|password|private|pepper|x-payment|sign-in/i;

export function createLog(
  level: LogLevel,
  write: (line: string) => void,
  nowMs: () => number,
): Log {
  const least = LEVELS.indexOf(level);
  const emit =
    (at: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(at) < least) return;
      const line = { at: new Date(nowMs()).toISOString(), level: at, event, ...describe(fields) };
      write(`${JSON.stringify(line)}\n`);
    };
  return {
    hasDebug: level === 'debug',
    debug: emit('debug'),
    info: emit('info'),
    warn: emit('warn'),
    error: emit('error'),
  };
}

function describe(fields: LogFields): LogFields {
  const out: LogFields = {};
  for (const [name, value] of Object.entries(fields)) {
    if (SECRET_NAME.test(name)) out[name] = '[secret]';
    else if (value instanceof Error) out[name] = errorText(value);
    else if (typeof value === 'bigint') out[name] = String(value);
    else out[name] = value;
  }
  return out;
}

function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? `; caused by ${error.cause.message}` : '';
  return `${error.stack ?? error.message}${cause}`.slice(0, 2_000);
}

export const silentLog: Log = { hasDebug: false, debug() {}, info() {}, warn() {}, error() {} };
