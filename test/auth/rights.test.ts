import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RIGHTS } from '../../src/auth/rights.ts';
import type { RouteEntry } from '../../src/http/router.ts';
import { HOUSE_ACCOUNT } from '../../src/keys/keys.ts';
import { manualClock } from '../support/store.ts';
import { type EvmWallet, startApp, type TestApp } from '../support/app.ts';

type Role = 'operator' | 'admin' | 'inference' | 'wallet';

interface Caller {
  name: string;
  /** What it is to the server; null for somebody whose credential does not work, undefined for nobody. */
  role: Role | null | undefined;
  headers(): Promise<Record<string, string>>;
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

/** Every kind of caller, all but the operator and the other wallet around one wallet's account. */
async function callers(app: TestApp, wallet: EvmWallet, clock: { ms: number }): Promise<Caller[]> {
  const { keys, accounts } = app.app.store;
  const owner = { family: 'eip155' as const, chain: '', address: wallet.address };
  const accountId = (await accounts.walletAccount(owner))!;
  const make = async (fields: Partial<Parameters<typeof keys.create>[0]> = {}) =>
    keys.create({ type: 'INFERENCE', description: '', accountId, ...fields });
  const inference = await make();
  const child = await make({ parentId: inference.id });
  const orphan = await make();
  const orphanChild = await make({ parentId: orphan.id });
  await keys.revoke(orphan.id, { accountId, under: null });
  const revoked = await make();
  await keys.revoke(revoked.id, { accountId, under: null });
  const brief = await make({ expiresAtMs: clock.ms + 1_000 });
  clock.ms += 1_000;
  const admin = await make({ type: 'ADMIN' });
  const boundAdmin = await make({ type: 'ADMIN', limits: { usd: 1, diem: null, vcu: null } });
  const operator = await make({ type: 'ADMIN', accountId: HOUSE_ACCOUNT });
  const houseInference = await make({ accountId: HOUSE_ACCOUNT });
  const other = await app.evm('1');
  const ofKey = (name: string, role: Role | null, { secret }: { secret: string }): Caller => ({
    name,
    role,
    headers: () => Promise.resolve(bearer(secret)),
  });
  const ofWallet = (name: string, who: EvmWallet): Caller => ({
    name,
    role: 'wallet',
    headers: async () => ({ 'sign-in-with-x': await who.signIn() }),
  });
  return [
    { name: 'nobody', role: undefined, headers: () => Promise.resolve({}) },
    ofKey('a key that never was', null, { secret: `ck_${'0'.repeat(48)}` }),
    ofKey('an expired key', null, brief),
    ofKey('a revoked key', null, revoked),
    ofKey('the child of a revoked key', null, orphanChild),
    ofKey('an INFERENCE key', 'inference', inference),
    ofKey('a child key', 'inference', child),
    ofKey('an INFERENCE key of the house', 'inference', houseInference),
    ofKey('an ADMIN key', 'admin', admin),
    ofKey('an ADMIN key with a limit', 'admin', boundAdmin),
    ofKey('an operator', 'operator', operator),
    ofWallet('the wallet', wallet),
    ofWallet('another wallet', other),
  ];
}

function pathOf({ path }: RouteEntry, wallet: EvmWallet): string {
  return path
    .replace(':wallet', wallet.address)
    .replace('*id', 'demo-chat')
    .replace(':preset', 'try-on')
    .replaceAll(/:\w+/g, 'none');
}

/** What the table promises of a caller's status on a route. */
function promised({ right }: RouteEntry, { role }: Caller): (status: number) => boolean {
  if (right === null) return (status) => status !== 403 && status < 500;
  if (role === undefined) return (status) => status === (right === 'infer' ? 402 : 401);
  if (role === null) return (status) => status === 401;
  if (!RIGHTS[right].includes(role)) return (status) => status === 403;
  // Another wallet than the path names is told so; everything else is past the gate.
  return (status) => status !== 401 && status < 500;
}

/** A thousand requests, one after the other. */
const WALK_MS = 120_000;

describe('who may do what', () => {
  it(
    'is on every route, for every kind of caller, what the one table says (A-2, K-12)',
    { timeout: WALK_MS },
    async () => {
      const clock = manualClock();
      await using app = await startApp({ clock });
      const wallet = await app.evm('1');
      const all = await callers(app, wallet, clock);
      const routes = app.app.routes;
      expect(routes.length).toBeGreaterThan(20);
      const broken: string[] = [];
      for (const route of routes) {
        for (const caller of all) {
          const response = await fetch(app.url + pathOf(route, wallet), {
            method: route.method.toUpperCase(),
            // Where others are streamed to, whoever asks for JSON gets a page.
            headers: {
              'content-type': 'application/json',
              accept: 'application/json',
              ...(await caller.headers()),
            },
            ...(route.method !== 'get' && { body: '{}' }),
          });
          const text = await response.text();
          if (promised(route, caller)(response.status)) continue;
          broken.push(
            `${caller.name}: ${route.method} ${route.path} -> ${response.status} ${text}`,
          );
        }
      }
      expect(broken).toEqual([]);
    },
  );

  it('lets an account be reached by nobody but its owner and the operator', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const wallet = await app.evm('1');
    const all = await callers(app, wallet, clock);
    const reading = app.app.routes.filter(({ path }) => path.includes(':wallet'));
    expect(reading.length).toBeGreaterThan(0);
    const stranger = all.find(({ name }) => name === 'another wallet')!;
    for (const route of reading) {
      const headers = await stranger.headers();
      expect((await app.get(pathOf(route, wallet), headers)).status).toBe(403);
    }
    const { id } = (
      await app.app.store.keys.list({ accountId: null, under: null }, { limit: 1, offset: 0 })
    )[0]!;
    for (const name of ['another wallet', 'an INFERENCE key', 'a child key']) {
      const headers = await all.find((caller) => caller.name === name)!.headers();
      const answer = await app.get(`/api/v1/keys/${id}`, headers);
      expect([name, answer.status]).toEqual([name, 404]);
    }
  });

  it('has every route in the table: none is registered past it', () => {
    const source = readFileSync(new URL('../../src/http/router.ts', import.meta.url), 'utf8');
    const registered = source.match(/\brouter\s*[.[]\s*(?!match|routes)\w+/g) ?? [];
    // The two lines inside `on` and `serve`, and the operator's site, whose own test walks all of its pages as a stranger.
    expect(registered.filter((call) => call.startsWith('router['))).toHaveLength(3);
    expect(registered).toHaveLength(3);
  });
});
