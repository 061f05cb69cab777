/** GET /admin/api/channels/:id/costs: what one channel took and cost by day and model, beside the invoice of its vendor. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { formatBigUsd, parseUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import { dateOf } from '../venice/dates.ts';
import { served, shownServed, total } from './channel-figures.ts';
import { usd } from './fields.ts';
import type { AdminOptions } from './options.ts';
import { shownSpan, spanFields, spanOf, spanView } from './spans.ts';

/** An invoice that differs by more than a twentieth wants looking into. */
const TOLERANCE_PERCENT = 5n;

const query = z.strictObject({ ...spanFields, invoiceUsd: usd.optional() });

const answer = z.strictObject({
  channel: z.string(),
  span: spanView,
  total: z.strictObject(served),
  /** With `invoiceUsd`: what the vendor charges for the same days. */
  invoice: z
    .strictObject({
      usd: z.string(),
      /** Invoice less the cost on record: what was paid and not accounted for. */
      differenceUsd: z.string(),
      differencePercent: z.number().nullable(),
      isExplained: z.boolean(),
    })
    .nullable(),
  data: z.array(z.strictObject({ date: z.string(), model: z.string(), ...served })),
});

export function channelCosts({ operator, clock }: AdminOptions) {
  const { routing, channelUsage } = operator;
  return operation<undefined, z.infer<typeof query>>({
    summary: 'What one channel took and cost, by UTC day and model, beside an invoice',
    right: 'admin',
    query,
    answer,
    run: async ({ params, query: { invoiceUsd, ...dates } }): Promise<z.infer<typeof answer>> => {
      const id = params['id'] ?? '';
      const span = spanOf(dates, clock.nowMs());
      const parts = await channelUsage.parts(id, span);
      // What a channel cost is of interest after it was taken out, too.
      if (!parts.length && !routing.channels().some((channel) => channel.id === id)) {
        throw new AppError('not_found', 'There is no such channel.');
      }
      const all = total(parts);
      return {
        channel: id,
        span: shownSpan(span),
        total: shownServed(all),
        invoice: invoiceUsd === undefined ? null : compared(all.upstream, invoiceUsd),
        data: parts.map(({ day, model, ...sums }) => ({
          date: dateOf(day),
          model,
          ...shownServed(sums),
        })),
      };
    },
  });
}

function compared(recorded: bigint, invoiceUsd: string) {
  const invoice = BigInt(parseUsd(invoiceUsd));
  const difference = invoice - recorded;
  const size = difference < 0n ? -difference : difference;
  return {
    usd: formatBigUsd(invoice),
    differenceUsd: formatBigUsd(difference),
    differencePercent: recorded ? Number((difference * 10_000n) / recorded) / 100 : null,
    isExplained: size * 100n <= recorded * TOLERANCE_PERCENT,
  };
}
