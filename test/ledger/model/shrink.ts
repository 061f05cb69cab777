/** A history that fails, made small enough to read: ticks, then operations, are left out for as long as it still fails. */
import type { History } from './steps.ts';

/** `fails` says whether a history still does; what there is by the deadline is the answer. */
export async function shrink(
  { startMs, ticks }: History,
  fails: (history: History) => Promise<boolean>,
  deadlineMs: number,
): Promise<History> {
  const stillFails = async (tries: History['ticks']) =>
    performance.now() < deadlineMs && (await fails({ startMs, ticks: tries }));
  let small = await leaveOut(ticks, stillFails);
  for (const [index, tick] of small.entries()) {
    const change = (steps: typeof tick.steps) => small.with(index, { ...tick, steps });
    const steps = await leaveOut(tick.steps, (tries) => stillFails(change(tries)));
    small = change(steps);
  }
  return { startMs, ticks: small };
}

async function leaveOut<T>(all: T[], fails: (tries: T[]) => Promise<boolean>): Promise<T[]> {
  let kept = all;
  for (let size = Math.ceil(all.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < kept.length;) {
      const tries = kept.toSpliced(at, size);
      if (await fails(tries)) kept = tries;
      else at += size;
    }
  }
  return kept;
}
