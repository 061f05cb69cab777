/** Steps of a route one after the other, as Koa's router runs them, without a promise and a bound function for each. */
import type { Context, Next } from './request.ts';

export type Step = (ctx: Context, next: Next) => unknown;

/** Throws at once what a step throws at once: whoever calls it awaits it inside a `try`. */
export function inTurn(steps: readonly Step[]): Step {
  const from = (at: number, ctx: Context, next: Next): unknown => {
    const step = steps[at];
    return step ? step(ctx, () => from(at + 1, ctx, next) as ReturnType<Next>) : next();
  };
  return (ctx, next) => from(0, ctx, next);
}
