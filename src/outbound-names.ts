/**
 * Looks up names that somebody else chose. Not by the system's resolver: that one blocks a thread of the small pool which the database
 * works on, for as long as a hostile name server likes. So names of /etc/hosts are not known here, but for localhost.
 */
import { promises as dns } from 'node:dns';

export type LookUpName = (name: string) => Promise<string[]>;

const TIMEOUT_MS = 3_000;
const TRIES = 2;
const LOCALHOST = /(^|\.)localhost$/;

/** Every address of a name, both families; throws where there is none. */
export function nameLookUp(): LookUpName {
  const resolver = new dns.Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  return async (name) => {
    if (LOCALHOST.test(name)) return ['127.0.0.1', '::1'];
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (found.length) return found;
    throw new Error(`the name ${name} has no address`);
  };
}
