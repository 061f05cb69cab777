/** An answer as it is kept: one sealed text of its status, its headers and its bytes. */
import { seal, unseal } from '../secrets.ts';

export interface StoredAnswer {
  status: number;
  /** Those that belong to the answer; lower-case names. */
  headers: Record<string, string>;
  body: Buffer;
}

/** Larger bodies are not kept (docs/money.md, "Idempotency"). */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

const LENGTH_BYTES = 4;

/** What an answer is sealed for: its row, and the request that it answers. */
export function placeOf(row: { principal: string; key: string; requestId: string }): string {
  return `idempotency_keys/${row.principal}/${row.key}/${row.requestId}`;
}

/** `place`: the row, so that an answer opens nowhere else. */
export function sealAnswer(key: Buffer, place: string, answer: StoredAnswer): string {
  const { status, headers, body } = answer;
  const head = Buffer.from(JSON.stringify({ status, headers }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  return seal(key, place, Buffer.concat([length, head, body]));
}

/** Throws when the key, the place or a single bit differs. */
export function openAnswer(key: Buffer, place: string, sealed: string): StoredAnswer {
  const bytes = unseal(key, place, sealed);
  const end = LENGTH_BYTES + bytes.readUInt32BE();
  const head = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, end)) as Omit<StoredAnswer, 'body'>;
  return { ...head, body: bytes.subarray(end) };
}
