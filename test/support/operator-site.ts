/** An operator who is signed in to the site of a running server. */
import { HOUSE_ACCOUNT } from '../../src/keys/keys.ts';
import type { TestApp } from './app.ts';

/** The cookie to send with every request. */
export async function operatorCookie({ app }: Pick<TestApp, 'app'>): Promise<string> {
  const made = { type: 'ADMIN', description: 'site', accountId: HOUSE_ACCOUNT } as const;
  const { id } = await app.store.keys.create(made, { actor: 'test' });
  return `farebox_admin=${await app.sessions.begin(id)}`;
}
