import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/auth/principal.ts';
import { parseUsd } from '../../src/money.ts';
import { OperatorAccounts } from '../../src/operator/accounts.ts';
import { ChannelSwitches } from '../../src/operator/channels.ts';
import { OperatorLists } from '../../src/operator/lists.ts';
import { testStore } from '../support/store.ts';
import { refusalOf } from '../support/till.ts';

describe('what only an operator does', () => {
  it('asks for the right itself, whatever the route in front of it let through (A-2)', async () => {
    await using store = await testStore();
    const { ledger } = store;
    const id = await store.wallet('5');
    const config = { adjustConfirm: parseUsd('100'), adjustDaily: parseUsd('1000') };
    const accounts = new OperatorAccounts({ ledger, config });
    const switches = new ChannelSwitches(ledger);
    const lists = new OperatorLists(ledger.read);
    const wallet = { family: 'eip155', chain: '', address: `0x${'1'.padStart(40, '0')}` };
    const key = { kind: 'key', accountId: id, keyId: 'key_1', ancestors: [], rules: [] };
    const others = [
      { kind: 'wallet', role: 'wallet', wallet, accountId: id },
      { ...key, role: 'admin', keyType: 'ADMIN', isBound: false },
      { ...key, role: 'inference', keyType: 'INFERENCE', isBound: false },
    ] as unknown as Principal[];
    const because = { reason: 'because I can' };
    const page = { limit: 10 };
    for (const by of others) {
      const acts: (() => Promise<unknown>)[] = [
        () => accounts.create(by, { label: 'mine', creditLine: parseUsd('1'), ...because }),
        () => accounts.change(by, id, { state: 'active', ...because }),
        async () => accounts.grant(by, id, parseUsd('1'), because),
        async () => accounts.adjust(by, id, parseUsd('1'), because),
        () => accounts.reverse(by, { account: id, adjustment: 'adj_1' }, because),
        () => switches.set(by, 'main', { isOn: false, ...because }),
        () => lists.accounts(by, page),
        () => lists.account(by, id),
        () => lists.entries(by, id, page),
        () => lists.holds(by, id, page),
        () => lists.adjustments(by, id, page),
        () => lists.payments(by, page),
        () => lists.payment(by, 'pay_1'),
        () => lists.changes(by, page),
      ];
      for (const act of acts) expect((await refusalOf(act())).code).toBe('forbidden');
    }
    expect(await store.available(id)).toBe(5_000_000_000);
    expect(switches.isOff('main')).toBe(false);
    expect(await lists.changes('cli', page)).toEqual([]);
  });
});
