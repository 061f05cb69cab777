import { ExactEvmScheme } from '@x402/evm';
import type { PaymentRequirements as V2Requirements } from '@x402/core/types';
import { createPaymentHeader } from 'x402/client';
import type { PaymentRequirements as V1Requirements } from 'x402/types';
import { describe, expect, it } from 'vitest';
import { decodeEvmPayment } from '../../src/chains/evm-payload.ts';
import { createEvmRail } from '../../src/chains/evm.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { readPaymentHeader } from '../../src/payments/header.ts';
import { encodeHeader, evmNetwork, newWallet } from '../support/evm-payment.ts';

const network = evmNetwork({ kind: 'remote', url: 'http://127.0.0.1:9', cdp: null }, null);
const rail = createEvmRail(network, {
  clock: systemClock,
  log: silentLog,
  dataDir: '',
  mode: 'live',
});

function decode(value: string) {
  const header = readPaymentHeader([{ name: 'X-PAYMENT', value }]);
  return { header, payment: decodeEvmPayment(network, header.payload, Date.now()) };
}

describe("a payment made by somebody else's client", () => {
  it('is read from @x402/evm, which pays what our requirement says', async () => {
    const wallet = newWallet();
    const accepted = rail.requirements(5_000_000n);
    const made = await new ExactEvmScheme(wallet).createPaymentPayload(
      2,
      accepted as V2Requirements,
    );
    const { header, payment } = decode(encodeHeader({ ...made, accepted }));
    expect(header).toMatchObject({ dialect: 'v2', network: network.network });
    expect(payment).toMatchObject({ payer: wallet.address.toLowerCase(), amount: 5_000_000n });
  });

  it.each([
    [1, 'v1'],
    [2, 'hybrid'],
  ] as const)(
    "is read from x402 1.x with version %i, as Venice's client calls it: %s",
    async (version, dialect) => {
      const wallet = newWallet();
      const { payTo, asset, maxTimeoutSeconds, extra } = rail.requirements(1n);
      const requirements: V1Requirements = {
        scheme: 'exact',
        network: 'base',
        maxAmountRequired: '10000000',
        resource: 'https://gw.example/x402/top-up',
        description: '',
        mimeType: 'application/json',
        payTo,
        asset,
        maxTimeoutSeconds,
        extra,
      };
      const { header, payment } = decode(await createPaymentHeader(wallet, version, requirements));
      expect(header).toMatchObject({ dialect, network: network.network });
      expect(payment).toMatchObject({ payer: wallet.address.toLowerCase(), amount: 10_000_000n });
    },
  );
});
