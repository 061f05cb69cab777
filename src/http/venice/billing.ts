/** /api/v1/billing: Venice's balance, and the page that its list of entries moved away from. */
import { z } from 'zod';
import type { Accounts } from '../../accounts.ts';
import type { PaymentsConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { subtractUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import { dollars } from '../x402/shapes.ts';

export interface BalanceOptions {
  accounts: Accounts;
  config: PaymentsConfig;
}

const balance = z.strictObject({
  canConsume: z.boolean(),
  /** US dollars are all that is sold here. */
  consumptionCurrency: z.literal('USD').nullable(),
  balances: z.strictObject({ diem: z.null(), usd: z.number() }),
  diemEpochAllocation: z.literal(0),
});

export function billingBalance({ accounts, config }: BalanceOptions) {
  return operation({
    summary: 'What is left of the balance',
    right: 'billing',
    answer: balance,
    run: async ({ principal: { accountId } }): Promise<z.infer<typeof balance>> => {
      const { posted, held } = await accounts.balance(accountId);
      const available = await accounts.available(accountId);
      const canConsume =
        available >= config.minimumBalance && !(await accounts.isFrozen(accountId));
      return {
        canConsume,
        consumptionCurrency: canConsume ? 'USD' : null,
        balances: { diem: null, usd: dollars(subtractUsd(posted, held)) },
        diemEpochAllocation: 0,
      };
    },
  });
}

const HISTORY = '/api/v1/billing/usage-history';

/** Venice's: 410 for everybody since 2026-09-16. RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 5829 (successor-version). */
const SUNSET_HEADERS = {
  deprecation: '@1783555200',
  sunset: 'Wed, 16 Sep 2026 00:00:00 GMT',
  link: `<${HISTORY}>; rel="successor-version"`,
};

export function billingUsage() {
  return operation({
    summary: 'Gone: GET /api/v1/billing/usage-history took its place',
    right: null,
    answer: null,
    run: ({ ctx }) => {
      Object.assign(ctx.state.headers, SUNSET_HEADERS);
      throw new AppError(
        'gone',
        `This page is gone: use GET ${HISTORY}, with pageSize and the nextCursor of each answer instead of page and limit, and startTimestamp and endTimestamp instead of startDate and endDate.`,
      );
    },
  });
}
