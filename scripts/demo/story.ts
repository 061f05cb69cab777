/** The walk: what an agent does, step by step, and what each step must cost to the nano-dollar. */
import type { ModelConfig } from '../../src/config/config.ts';
import {
  addUsd,
  formatUsd,
  formatUsdSix,
  NANO_PER_USD,
  type NanoUsd,
  nanoUsd,
  parseUsd,
  subtractUsd,
} from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';
import { readChatStream } from '../wallet/chat-stream.ts';
import { Gateway } from '../wallet/gateway.ts';
import { randomWallet } from '../wallet/wallet-file.ts';
import { Checks } from './checks.ts';
import { costOf, type OpenAiUsage, priceText } from './price.ts';
import { videoTask } from './video.ts';

export interface StoryOptions {
  url: string;
  dataDir: string;
  model: ModelConfig;
  say(text: string): void;
}

export interface Story {
  checks: number;
  faults: string[];
  /** Dollars, exact. */
  figures: Record<string, string>;
}

export interface Teller extends StoryOptions {
  checks: Checks;
  figures: Record<string, string>;
}

const EVM_TOP_UP = parseUsd('5');
const SOLANA_TOP_UP = parseUsd('2');
const QUESTION = 'Why do agents like to pay by the call?';
const MAX_SHOWN_CHARS = 200;

export async function tellStory(options: StoryOptions): Promise<Story> {
  const teller: Teller = { ...options, checks: new Checks(), figures: {} };
  const wallet = randomWallet();
  const evm = new Gateway({ url: options.url, wallet, chain: 'evm' });
  const solana = new Gateway({ url: options.url, wallet, chain: 'solana' });

  await refusal(teller);
  options.say(
    '\n2. It signs a transfer of play USDC on an EVM chain and sends the signature along.',
  );
  await topUp(teller, evm, EVM_TOP_UP);
  options.say('\n3. A second agent does the same with a Solana wallet.');
  await topUp(teller, solana, SOLANA_TOP_UP);
  options.say('\n4. The first agent asks again, signed in with its wallet.');
  const first = await jsonChat(teller, evm, EVM_TOP_UP);
  options.say('\n5. And once more, streamed.');
  const second = await streamedChat(teller, evm, subtractUsd(EVM_TOP_UP, first));
  options.say('\n6. The Solana agent streams an answer, too.');
  const third = await streamedChat(teller, solana, SOLANA_TOP_UP);
  options.say('\n7. The first agent has a video made, and is called back when it is there.');
  const video = await videoTask(teller, evm);
  options.say('\n8. The ledger, as each wallet sees it.');
  await statement(teller, evm, EVM_TOP_UP, [first, second, video]);
  await statement(teller, solana, SOLANA_TOP_UP, [third]);
  await audit(teller, [first, second, third, video]);
  return { checks: teller.checks.count, faults: teller.checks.faults, figures: teller.figures };
}

async function refusal({ url, model, say, checks, figures }: Teller): Promise<void> {
  say(`1. An agent without account, key or balance asks ${model.id} a question.`);
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(chatBody(model)),
  });
  const { accepts = [] } = (await answer.json()) as {
    accepts?: { amount: string; network: string }[];
  };
  checks.exact('the status without a credential', answer.status, 402);
  checks.exact('the number of networks offered', accepts.length, 2);
  const price = formatUsd(nanoUsd(BigInt(accepts[0]?.amount ?? 0) * 1_000n));
  figures['asked'] = price;
  say(
    `   402 Payment Required: $${price}, payable on ${accepts.map((a) => a.network).join(' or ')}.`,
  );
}

async function topUp({ say, checks }: Teller, gateway: Gateway, amount: NanoUsd): Promise<void> {
  const paid = await gateway.topUp(amount);
  checks.exact('the amount credited', inNano(paid.amountCredited), amount);
  checks.exact('the balance after the top-up', inNano(paid.newBalance), amount);
  say(`   ${gateway.address} paid $${formatUsd(amount)}, payment ${paid.paymentId}.`);
  say(`   Its balance is $${formatUsdSix(inNano(paid.newBalance))}.`);
}

/** Answers what the request must have cost. */
async function jsonChat(teller: Teller, gateway: Gateway, before: NanoUsd): Promise<NanoUsd> {
  const { model, say, checks, figures } = teller;
  const answer = await gateway.chat(chatBody(model));
  const { choices, usage } = (await answer.json()) as {
    choices: { message: { content: string } }[];
    usage: OpenAiUsage;
  };
  say(`   "${shown(choices[0]?.message.content ?? '')}"`);
  const cost = costOf(model, usage);
  const after = subtractUsd(before, cost);
  const header = answer.headers.get('x-balance-remaining');
  checks.exact('X-Balance-Remaining after a JSON answer', header, formatUsdSix(after));
  checks.exact('X-Request-Cost', inNano(Number(answer.headers.get('x-request-cost'))), cost);
  sayCost(teller, usage, cost);
  say(`   X-Balance-Remaining fell from ${formatUsdSix(before)} to ${header}.`);
  figures['jsonChat'] = formatUsd(cost);
  return cost;
}

async function streamedChat(teller: Teller, gateway: Gateway, before: NanoUsd): Promise<NanoUsd> {
  const { model, say, checks } = teller;
  const stream = { stream: true, stream_options: { include_usage: true } };
  const answer = await gateway.chat({ ...chatBody(model), ...stream });
  const held = answer.headers.get('x-balance-remaining');
  let parts = 0;
  const summary = await readChatStream(answer, () => (parts += 1));
  checks.exact('whether the stream reached its end', summary.isComplete, true);
  say(`   "${shown(summary.text)}" (in ${parts} parts)`);
  const usage = summary.usage as OpenAiUsage | null;
  if (!usage) throw new Error('the stream reported no usage');
  const cost = costOf(model, usage);
  const after = subtractUsd(before, cost);
  sayCost(teller, usage, cost);
  const { closing } = summary;
  checks.exact('the cost in the closing comment', closing?.cost, formatUsd(cost));
  checks.exact(
    'the balance in the closing comment',
    closing?.balance_remaining,
    formatUsdSix(after),
  );
  const { balanceUsd } = await gateway.balance();
  checks.exact('the balance after the stream', inNano(balanceUsd), after);
  say(`   X-Balance-Remaining was ${held} while the most it could cost was set aside;`);
  say(`   the stream closed with a balance of ${closing?.balance_remaining}.`);
  return cost;
}

function sayCost({ model, say }: Teller, usage: OpenAiUsage, cost: NanoUsd): void {
  const { prompt_tokens: input, completion_tokens: output } = usage;
  say(`   ${input} tokens in and ${output} out at ${priceText(model)}: $${formatUsd(cost)}.`);
}

async function statement(
  { say, checks, figures }: Teller,
  gateway: Gateway,
  paid: NanoUsd,
  costs: NanoUsd[],
): Promise<void> {
  const rows = (await gateway.transactions(50)).toReversed();
  const expected = [paid, ...costs.map((cost) => -cost)];
  checks.exact('the number of entries', rows.length, expected.length);
  let balance = 0;
  for (const [index, row] of rows.entries()) {
    balance += expected[index] ?? 0;
    checks.exact(`the amount of entry ${index + 1}`, inNano(row.amount), expected[index]);
    checks.exact(`the balance after entry ${index + 1}`, inNano(row.balanceAfter), balance);
    const amount = formatUsd(inNano(row.amount)).padStart(14);
    say(`   ${row.type.padEnd(7)} ${amount}   balance ${formatUsd(inNano(row.balanceAfter))}`);
  }
  figures[gateway.address] = formatUsd(nanoUsd(balance));
}

async function audit({ dataDir, say, checks }: Teller, costs: NanoUsd[]): Promise<void> {
  const checked = await verifyStore({ dataDir, nowMs: Date.now() });
  const paid = addUsd(EVM_TOP_UP, SOLANA_TOP_UP);
  const owed = costs.reduce((left, cost) => subtractUsd(left, cost), paid);
  for (const fault of checked.faults) checks.exact(fault.row, fault.message, 'in order');
  checks.exact('whether verify finds the books in order', checked.ok, true);
  checks.exact('what wallets own in all', checked.liabilities, owed);
  checks.exact('the number of open holds', checked.openHolds, 0);
  say('\n9. verify reads the whole ledger and checks every invariant.');
  say(
    `   ${checked.entries} entries, ${checked.seals} seals, ${checked.accounts} accounts, no open hold.`,
  );
  say(`   Paid in $${formatUsd(paid)}, wallets still own $${formatUsd(owed)}.`);
}

function chatBody(model: ModelConfig): object {
  return { model: model.id, messages: [{ role: 'user', content: QUESTION }] };
}

function inNano(usd: number): NanoUsd {
  return nanoUsd(Math.round(usd * NANO_PER_USD));
}

function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_SHOWN_CHARS ? `${line.slice(0, MAX_SHOWN_CHARS)}…` : line;
}
