/** What the process does besides serving, as operators are told it. */

export interface BackupStatus {
  /** Of the schedule; 0: none are made. */
  everyMs: number;
  /** When the newest one was made, and its size; null where there is none. */
  lastAtMs: number | null;
  lastBytes: number | null;
  /** Since the start. */
  failures: number;
  /** What went wrong with the last one; null where nothing did. */
  problem: string | null;
}

export interface BooksStatus {
  /** Of the last check that came to its end; null before the first. */
  checkedAtMs: number | null;
  faults: number;
  /** The first fault; null where there is none. */
  first: string | null;
  /** Why the last check did not come to its end; null where it did. */
  problem: string | null;
}

/** Both null where the server is part of something else that looks after that. */
export interface Upkeep {
  backups(): BackupStatus | null;
  books(): BooksStatus | null;
}

export const NO_UPKEEP: Upkeep = { backups: () => null, books: () => null };
