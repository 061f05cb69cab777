import { randomBytes } from 'node:crypto';

const POOL_BYTES = 4_096;
const ID_BYTES = 12;
let pool = Buffer.alloc(0);
let used = 0;

/** A fresh id: the prefix and 96 random bits in hex ("pay_5f2c…"). Random bytes are drawn in bulk: ids are on the hot path. */
export function newId(prefix: string): string {
  if (used + ID_BYTES > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  used += ID_BYTES;
  return `${prefix}_${pool.toString('hex', used - ID_BYTES, used)}`;
}
