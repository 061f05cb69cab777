import type { Accounts } from '../../accounts.ts';
import type { Operator } from '../../auth/operator.ts';
import type { Clock } from '../../clock.ts';
import type { PaymentRow } from '../../db/tables.ts';
import type { Keys } from '../../keys/keys.ts';
import type { KeySpending } from '../../keys/spending.ts';
import type { OperatorAccounts } from '../../operator/accounts.ts';
import type { ChannelSwitches } from '../../operator/channels.ts';
import type { Figures } from '../../operator/figures.ts';
import type { Funds } from '../../operator/funds.ts';
import type { OperatorLists } from '../../operator/lists.ts';
import type { Attention } from '../../operator/attention.ts';
import type { Standing } from '../../operator/standing.ts';
import type { OperatorTasks } from '../../operator/tasks.ts';
import type { OperatorUsage } from '../../operator/usage.ts';
import type { Payments } from '../../payments/payments.ts';
import type { Payouts } from '../../payouts/payouts.ts';
import type { CostDrift } from '../../routing/drift.ts';
import type { Routing } from '../../routing/routing.ts';
import type { Traffic } from '../../routing/traffic.ts';
import type { ChannelUsage } from '../../usage/channels.ts';
import type { Usage } from '../../usage/usage.ts';

export interface AdminOptions {
  accounts: Accounts;
  keys: Keys;
  spending: KeySpending;
  payments: Payments;
  payouts: Payouts;
  usage: Usage;
  operator: {
    accounts: OperatorAccounts;
    lists: OperatorLists;
    figures: Figures;
    funds: Funds;
    standing: Standing;
    attention: Attention;
    tasks: OperatorTasks;
    usage: OperatorUsage;
    switches: ChannelSwitches;
    routing: Routing;
    traffic: Traffic;
    drift: CostDrift;
    channelUsage: ChannelUsage;
    /** See operator/recheck.ts. */
    recheck(by: Operator, paymentId: string): Promise<void>;
    isRecheckable(payment: PaymentRow): boolean;
  };
  clock: Clock;
}
