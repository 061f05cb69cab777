/** Whether each network can be paid on: the same questions that a rail asks itself, and what it only logs. */
import type { Rail } from '../chains/chain.ts';
import { createRail } from '../chains/index.ts';
import type { Clock } from '../clock.ts';
import type { Config, NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Log, LogFields } from '../log.ts';
import { bad, type Finding, found, good, warn } from './finding.ts';

const MENDS: [RegExp, string][] = [
  [/gas (wallet|account)/, 'send it native coin for gas'],
  [/does not exist/, 'create it as said, once'],
  [/RPC/, 'mend rpc_url (or RPC_URL_…)'],
  [/facilitator/, 'mend facilitator, or settle by yourself with a gas key'],
  [/domain/, 'check asset and network: this is not the USDC that clients sign for'],
];

export async function checkPayments(config: Config, clock: Clock): Promise<Finding[]> {
  const { networks } = config.payments;
  if (!networks.length) {
    const mend = 'set PAY_TO_EVM or PAY_TO_SOLANA, and GAS_KEY_… or FACILITATOR_URL';
    return [bad('payments', 'no network is set up: nobody can pay', mend)];
  }
  const checks = networks.map((network) => {
    const subject = `payments on ${network.network}`;
    return found(subject, () => checkNetwork(subject, network, config, clock));
  });
  return (await Promise.all(checks)).flat();
}

async function checkNetwork(
  subject: string,
  network: NetworkConfig,
  { dataDir, mode }: Config,
  clock: Clock,
): Promise<Finding[]> {
  const said: { event: string; fields: LogFields }[] = [];
  const keep = (event: string, fields: LogFields = {}) => void said.push({ event, fields });
  const log: Log = { debug: () => {}, info: () => {}, warn: keep, error: keep };
  if (network.facilitator.kind === 'sandbox') return [good(subject, 'play money')];
  let rail: Rail;
  try {
    rail = await createRail(network, { clock, log, dataDir, mode });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [bad(subject, error.message, 'mend payments.networks')];
  }
  try {
    const { problem } = await rail.refresh();
    if (problem !== null) return [bad(subject, problem, mendOf(problem))];
    const low = said.find(({ event }) => /gas_low/.test(event));
    const settled =
      network.facilitator.kind === 'embedded'
        ? 'settles by itself'
        : `settles over ${network.facilitator.url}`;
    const findings = [good(subject, `${settled}, pays to ${network.payTo}`)];
    if (low)
      findings.push(
        warn(subject, `gas runs low: ${JSON.stringify(low.fields)}`, 'send it native coin for gas'),
      );
    if (!rail.canLookUp) {
      findings.push(
        warn(
          subject,
          'no RPC of its own: the facilitator’s word is taken up to the exposure caps',
          'set rpc_url',
        ),
      );
    }
    return findings;
  } finally {
    await rail.close();
  }
}

function mendOf(problem: string): string {
  return MENDS.find(([pattern]) => pattern.test(problem))?.[1] ?? 'mend payments.networks';
}
