import { describe, expect, it } from 'vitest';
import { errorOf, load, PAY_TO } from '../support/config.ts';

const KEY = `0x${'6a'.repeat(32)}`;
const OTHER = `0x${'7b'.repeat(32)}`;
const file = (more: string) =>
  `payments: { networks: [{ network: "eip155:8453", pay_to: "${PAY_TO}", ${more} }] }`;

describe('a treasury key', () => {
  it('goes with embedded settlement, beside the gas key', () => {
    const { networks } = load(file(`gas_key: "${KEY}", treasury_key: "${OTHER}"`)).payments;
    const [network] = networks;
    expect(network?.facilitator).toEqual({ kind: 'embedded', gasKey: KEY, treasuryKey: OTHER });
  });

  it.each([
    ['beside a facilitator', `facilitator: "https://f.example", treasury_key: "${OTHER}"`],
    ['that is the gas key', `gas_key: "${KEY}", treasury_key: "${'6A'.repeat(32)}"`],
    ['that is too short', `gas_key: "${KEY}", treasury_key: "0xabcd"`],
  ])('%s is refused by name, and not shown', (_, more) => {
    const error = errorOf(file(more));
    expect(error.faults.map(({ path }) => path)).toEqual(['payments.networks[0].treasury_key']);
    expect(error.message).not.toMatch(/7b7b|6a6a|6A6A|abcd/);
  });
});
