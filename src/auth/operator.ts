/** Who runs the shop. What only an operator may do asks here once more, whatever the route in front of it let through. */
import { type Principal, principalName } from './principal.ts';
import { requireRight } from './rights.ts';

/** An operator's key, or this machine itself by its control socket. */
export type Operator = Principal | 'cli';

/** The name for the log of changes. Throws forbidden for everybody else. */
export function operatorName(who: Operator): string {
  return who === 'cli' ? who : principalName(requireRight(who, 'admin'));
}
