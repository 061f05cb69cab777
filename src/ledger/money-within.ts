/** Holds taken and resolved inside a larger operation: what they answer is durable together with it, and told to it alone. */
import { ZERO_USD } from '../money.ts';
import type { FastOp, Hold, Resolution, ResolveOp, WriteTx } from './operations.ts';

/** `apply`: decides one operation and writes it, which answers it. */
export function moneyWithin(
  apply: (op: FastOp) => Promise<void>,
): Pick<WriteTx, 'reserve' | 'capture' | 'void'> {
  const answered = async <T>(make: (answer: Answer<T>) => FastOp): Promise<T> => {
    const { promise, ...answer } = Promise.withResolvers<T>();
    await apply(make(answer));
    return promise;
  };
  const resolve = (asked: Pick<ResolveOp, 'hold' | 'state' | 'cost' | 'usage'>) =>
    answered<Resolution>((answer) => ({ type: 'resolve', ...asked, ...answer }));
  return {
    reserve: (request) => answered<Hold>((answer) => ({ type: 'reserve', request, ...answer })),
    capture: (hold, cost, usage) => resolve({ hold, state: 'captured', cost, usage }),
    void: (hold) => resolve({ hold, state: 'voided', cost: ZERO_USD, usage: null }),
  };
}

interface Answer<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}
