/**
 * Each batch of entries is sealed: a hash over the entries and the seal before it. The newest seal is also kept in a file
 * outside the database, so that a database which was silently rolled back or edited is noticed.
 */
import { hash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { EntryTuple } from './operations.ts';

export interface Head {
  seq: number;
  hash: string;
}

export const GENESIS: Head = { seq: 0, hash: '' };

export function sealHash(previous: string, entries: readonly EntryTuple[]): string {
  let text = previous;
  for (const entry of entries) text += `\n${JSON.stringify(entry)}`;
  return hash('sha256', text);
}

/** The head file; null when there is none yet. Throws when it cannot be understood. */
export async function readHead(file: string): Promise<Head | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const value = parsed(text);
  if (isHead(value)) return { seq: value.seq, hash: value.hash };
  throw new Error(
    `${file} does not hold a seal: put back the one that was there, or remove it to accept what the database says.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isHead(value: unknown): value is Head {
  return (
    typeof value === 'object' &&
    value !== null &&
    'seq' in value &&
    Number.isSafeInteger(value.seq) &&
    'hash' in value &&
    typeof value.hash === 'string'
  );
}

/** The newest seal of a database. */
export async function newestSeal(db: Kysely<Tables>): Promise<Head> {
  const seal = await db
    .selectFrom('seals')
    .select(['seq', 'hash'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return seal ?? GENESIS;
}

/** Replaces the head file whole; a crash leaves the old one or the new one. */
export async function writeHead(file: string, head: Head): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(head)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
