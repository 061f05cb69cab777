/** npm run wallet: a small agent wallet for people. It keeps two keys in a file and pays any Farebox with them. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatUsd, NANO_PER_USD, type NanoUsd, nanoUsd, parseUsd } from '../src/money.ts';
import { readChatStream } from './wallet/chat-stream.ts';
import { Gateway } from './wallet/gateway.ts';
import { WalletError } from './wallet/wallet-error.ts';
import { type AgentWallet, createWallet, openWallet } from './wallet/wallet-file.ts';

const HELP = `npm run wallet -- COMMAND [options]

  new                    make a wallet: one EVM key, one Solana key
  topup AMOUNT           pay AMOUNT dollars of USDC into the balance ("topup 5")
  chat "TEXT"            ask a model and watch the balance
  balance                what is left
  transactions           what went in and out

  --url URL              the gateway (FAREBOX_URL, else http://127.0.0.1:8402)
  --chain evm|solana     which of the two keys (evm)
  --network ID           CAIP-2 id, when the gateway takes several ("eip155:8453")
  --file PATH            the wallet (FAREBOX_WALLET, else ~/.farebox/wallet.json)
  --rpc URL              a Solana node, to ask for a recent blockhash
  --model ID             for chat; the gateway's first otherwise
  --max-tokens N         for chat
  --limit N              for transactions (20)
  --json                 machine-readable output
`;

const { values, positionals } = readArguments(() =>
  parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: process.env['FAREBOX_URL'] ?? 'http://127.0.0.1:8402' },
      chain: { type: 'string', default: 'evm' },
      network: { type: 'string' },
      file: {
        type: 'string',
        default: process.env['FAREBOX_WALLET'] ?? join(homedir(), '.farebox', 'wallet.json'),
      },
      rpc: { type: 'string' },
      model: { type: 'string' },
      'max-tokens': { type: 'string' },
      limit: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }),
);

function readArguments<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exit(2);
  }
}

const say = (text: string) => process.stdout.write(values.json ? '' : `${text}\n`);
const result = (value: unknown) =>
  process.stdout.write(values.json ? `${JSON.stringify(value)}\n` : '');
/** The server's numbers are exact to the nano-dollar; so is what is shown. */
const usd = (amount: number) => `$${formatUsd(nanoUsd(Math.round(amount * NANO_PER_USD)))}`;

const COMMANDS: Record<string, (argument: string | undefined) => Promise<void>> = {
  new: async () => {
    const wallet = await createWallet(values.file);
    show(wallet);
    say(
      `\nThe keys are in ${values.file}. Whoever reads that file can spend what the wallet owns.`,
    );
  },
  topup: async (argument) => {
    const gateway = await openGateway();
    const paid = await gateway.topUp(amountOf(argument));
    say(`Paid in ${usd(paid.amountCredited)}. Balance: ${usd(paid.newBalance)}.`);
    say(`Payment ${paid.paymentId}`);
    result(paid);
  },
  chat,
  balance: async () => {
    const gateway = await openGateway();
    const balance = await gateway.balance();
    say(`${gateway.address}\nBalance: ${usd(balance.balanceUsd)}`);
    if (!balance.canConsume) say(`Pay in at least ${usd(balance.minimumTopUpUsd)} to use it.`);
    result({ address: gateway.address, ...balance });
  },
  transactions: async () => {
    const rows = await (await openGateway()).transactions(Number(values.limit));
    for (const row of rows) {
      const amount = `${row.amount < 0 ? '-' : '+'}${usd(Math.abs(row.amount))}`;
      const line = [row.createdAt, row.type.padEnd(8), amount.padStart(14)];
      say([...line, `-> ${usd(row.balanceAfter)}`, row.modelId ?? ''].join('  ').trimEnd());
    }
    if (!rows.length) say('Nothing yet.');
    result(rows);
  },
};

async function chat(text: string | undefined): Promise<void> {
  if (!text) throw new WalletError('Say something: npm run wallet -- chat "hello"');
  const gateway = await openGateway();
  const model = values.model ?? (await gateway.models())[0];
  if (model === undefined) throw new WalletError('The gateway sells no model.');
  const limit = values['max-tokens'];
  const request = {
    model,
    messages: [{ role: 'user', content: text }],
    ...(limit === undefined ? {} : { max_tokens: Number(limit) }),
  };
  if (values.json) {
    const answer = await gateway.chat(request);
    result({ balanceUsd: answer.headers.get('x-balance-remaining'), answer: await answer.json() });
    return;
  }
  const stream = { ...request, stream: true, stream_options: { include_usage: true } };
  const answer = await gateway.chat(stream);
  const summary = await readChatStream(answer, (part) => process.stdout.write(part));
  say('');
  const { closing } = summary;
  if (closing) say(`[$${closing.cost}, balance $${closing.balance_remaining}]`);
  if (!summary.isComplete) throw new WalletError('The answer broke off.');
}

async function openGateway(): Promise<Gateway> {
  const { url, chain, network, rpc } = values;
  if (chain !== 'evm' && chain !== 'solana') {
    throw new WalletError(`--chain must be evm or solana, not ${chain}`);
  }
  return new Gateway({ url, wallet: await openWallet(values.file), chain, network, rpcUrl: rpc });
}

function amountOf(argument: string | undefined): NanoUsd {
  try {
    return parseUsd(argument ?? '');
  } catch (error) {
    throw new WalletError('Say how many dollars: npm run wallet -- topup 5', { cause: error });
  }
}

function show(wallet: AgentWallet): void {
  say(`EVM     ${wallet.evm.address}\nSolana  ${wallet.solana.address}`);
  result({ evm: wallet.evm.address, solana: wallet.solana.address, file: values.file });
}

async function main(): Promise<void> {
  const [name = '', argument] = positionals;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (values.help || !command) {
    process.stdout.write(HELP);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  try {
    await command(argument);
  } catch (error) {
    if (!(error instanceof WalletError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

await main();
