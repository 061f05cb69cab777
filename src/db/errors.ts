/** What an error of the database means for the caller, whatever the driver calls it. */
export type StorageFault =
  | 'full' // no room: new work is refused, running work ends from the reserve
  | 'fatal' // the file can no longer be trusted: the process stops
  | 'conflict' // a unique key, a check or a guard said no
  | 'other';

/** A statement touched another number of rows than it was given. */
export class GuardMiss extends Error {}

/** Begins the message that a database gives it. */
export const GUARD_MARK = 'guard: ';

export function storageFault(error: unknown): StorageFault {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : '';
  if (code === 'SQLITE_FULL') return 'full';
  if (/^SQLITE_(IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|PROTOCOL|MISUSE)/.test(code)) {
    return /ENOSPC|no space/i.test(message) ? 'full' : 'fatal';
  }
  if (code.startsWith('SQLITE_CONSTRAINT')) return 'conflict';
  return 'other';
}
