/** Opus packets, in whatever container. */

const SILK_MS = [10, 20, 40, 60] as const;
const HYBRID_MS = [10, 20] as const;
const CELT_MS = [2.5, 5, 10, 20] as const;
/** What one packet can hold. */
export const LONGEST_PACKET_SECONDS = 0.12;

/** RFC 6716 3.1 and 3.2; `at`: of the packet's first byte, `end`: behind its last. */
export function opusSeconds(bytes: Buffer, at: number, end: number): number {
  if (at >= end) return 0;
  const head = bytes[at]!;
  const config = head >> 3;
  const code = head & 3;
  const frameMs =
    config < 12
      ? SILK_MS[config % 4]!
      : config < 16
        ? HYBRID_MS[config % 2]!
        : CELT_MS[config % 4]!;
  const frames = code === 0 ? 1 : code < 3 ? 2 : at + 1 < end ? bytes[at + 1]! & 0x3f : 0;
  return Math.min((frames * frameMs) / 1_000, LONGEST_PACKET_SECONDS);
}
