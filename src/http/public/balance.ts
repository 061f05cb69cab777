/**
 * /balance: a person pastes an address, signs the text that is shown, wherever the key is, and pastes the signature. The same rules and
 * the same check as SIGN-IN-WITH-X; nothing is connected, and no cookie is set.
 */
import type { Accounts } from '../../accounts.ts';
import { formatMessage } from '../../auth/siwx-message.ts';
import type { Siwx, SiwxChallenge } from '../../auth/siwx.ts';
import type { Family, PaymentsConfig } from '../../config/config.ts';
import type { EntryRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import { formatUsdSix, nanoUsd, subtractUsd } from '../../money.ts';
import { errorAnswer, toAppError } from '../errors.ts';
import { type GuardOptions, orFlood, requireNoFlood } from '../limits.ts';
import { html, type Html } from '../page/html.ts';
import { type Context, readBody } from '../request.ts';
import { WALLET_ADDRESS } from '../x402/shapes.ts';
import { HTML_TYPE, layout, SECURITY } from './layout.ts';

export interface BalanceOptions extends GuardOptions {
  accounts: Accounts;
  siwx: Siwx;
  config: PaymentsConfig;
}

const MAX_FORM_BYTES = 32 * 1024;
const SHOWN_ENTRIES = 20;

/** GET /balance[?wallet=]: asks for the address; with one, for a signature. */
export function askBalance(options: BalanceOptions) {
  return (ctx: Context): void => {
    const wallet = new URLSearchParams(ctx.querystring).get('wallet')?.trim() ?? '';
    if (wallet === '') return show(ctx, 200, askAddress('', null));
    if (!WALLET_ADDRESS.test(wallet)) {
      return show(ctx, 400, askAddress(wallet, 'This is no EVM or Solana address.'));
    }
    const challenge = options.siwx.challenge(`${ctx.state.origin}/balance`);
    const chain = chainFor(familyOf(wallet), challenge);
    if (chain === null) {
      return show(ctx, 400, askAddress(wallet, 'No network of this kind is used here.'));
    }
    show(ctx, 200, askSignature(wallet, messageOf(wallet, chain, challenge), null));
  };
}

/** POST /balance, a form: `message` and `signature`. */
export function showBalance(options: BalanceOptions) {
  return async (ctx: Context): Promise<void> => {
    const form = new URLSearchParams((await readBody(ctx.req, MAX_FORM_BYTES)).toString('utf8'));
    const said = (name: string): string => form.get(name)?.trim() ?? '';
    const address = said('wallet');
    // Browsers send lines as CR LF; what was signed has none.
    const message = said('message').replaceAll('\r\n', '\n');
    try {
      if (!WALLET_ADDRESS.test(address)) {
        throw new AppError('invalid_request', 'wallet: must be an EVM or Solana address.');
      }
      await requireNoFlood(options, ctx, 'unauthorized');
      const fields = { address, message, signature: said('signature') };
      const type = familyOf(address) === 'solana' ? { type: 'ed25519' } : {};
      const header = Buffer.from(JSON.stringify({ ...fields, ...type })).toString('base64');
      const wallet = await options.siwx.verify(header);
      const accountId = await options.accounts.walletAccount(wallet);
      show(ctx, 200, await account(wallet.address, accountId, options));
    } catch (thrown) {
      const error = toAppError(await orFlood(ctx, options, thrown));
      if (error.code === 'internal') throw error;
      const answer = errorAnswer(error, 'v1', ctx.state.requestId);
      Object.assign(ctx.state.headers, answer.headers);
      show(ctx, answer.status, notYet(address, error.message));
    }
  };
}

function familyOf(address: string): Family {
  return address.startsWith('0x') ? 'eip155' : 'solana';
}

function chainFor(family: Family, { supportedChains }: SiwxChallenge): string | null {
  const found = supportedChains.find(({ chainId }) => chainId.startsWith(`${family}:`));
  return found ? found.chainId.slice(family.length + 1) : null;
}

function messageOf(address: string, chainId: string, { info }: SiwxChallenge): string {
  const rest = { notBefore: null, requestId: null, resources: [] };
  const statement = 'Show the balance of this wallet.';
  return formatMessage(familyOf(address), { ...info, ...rest, statement, address, chainId });
}

function askAddress(wallet: string, wrong: string | null): Html {
  return html`<p>See what a wallet has left here, without connecting it: sign a text, anywhere.</p>
    ${wrong !== null && html`<p class="notice" role="alert">${wrong}</p>`}
    <form method="get" action="/balance">
      <label for="wallet">Address of the wallet (EVM or Solana)</label>
      <input
        id="wallet"
        name="wallet"
        value="${wallet}"
        required
        maxlength="64"
        autocomplete="off"
        spellcheck="false"
      />
      <button>Show the text to sign</button>
    </form>`;
}

function askSignature(wallet: string, message: string, wrong: string | null): Html {
  const how =
    familyOf(wallet) === 'eip155'
      ? html`Sign it as a personal message (EIP-191), such as with <code>cast wallet sign</code>;
          the signature is <code>0x</code> and hexadecimal.`
      : html`Sign its bytes with the wallet’s ed25519 key, as a wallet’s signMessage does; the
        signature is base58 or base64.`;
  return html`${wrong !== null && html`<p class="notice" role="alert">${wrong}</p>`}
    <p>${how} The text holds for a few minutes and for one look.</p>
    <form method="post" action="/balance">
      <input type="hidden" name="wallet" value="${wallet}" />
      <label for="message">Text to sign, exactly as it stands</label>
      <textarea id="message" name="message" rows="12" readonly spellcheck="false">
${message}</textarea>
      <label for="signature">Signature</label>
      <textarea
        id="signature"
        name="signature"
        rows="3"
        required
        autocomplete="off"
        spellcheck="false"
      ></textarea>
      <button>Show the balance</button>
    </form>`;
}

function notYet(address: string, message: string): Html {
  const again = WALLET_ADDRESS.test(address) ? `/balance?wallet=${address}` : '/balance';
  return html`<p class="notice" role="alert">${message}</p>
    <p><a href="${again}">Sign a new text</a></p>`;
}

async function account(
  address: string,
  accountId: string | null,
  { accounts, config }: BalanceOptions,
): Promise<Html> {
  const { posted, held } = await accounts.balance(accountId);
  const rows = await accounts.entries(accountId, { limit: SHOWN_ENTRIES, offset: 0 });
  const available = subtractUsd(posted, held);
  return html`<p><code>${address}</code></p>
    <p class="figure">$${formatUsdSix(available)}</p>
    <p class="quiet">
      ${held > 0 && html`$${formatUsdSix(held)} more is held for requests under way. `}
      ${available < config.minimumBalance && 'Too little to call with: top up. '}
    </p>
    <h2>Last transactions</h2>
    ${rows.length === 0 && html`<p>There are none.</p>`}
    ${rows.length > 0 && entries(rows, accountId)}`;
}

function entries(rows: readonly EntryRow[], accountId: string | null): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Last transactions">
    <table>
      <thead>
        <tr>
          <th scope="col">Time (UTC)</th>
          <th scope="col">What</th>
          <th scope="col" class="number">US dollars</th>
          <th scope="col" class="number">Balance</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => {
          const isCredit = row.credit_account === accountId;
          return html`<tr>
            <td>${new Date(row.at).toISOString().slice(0, 19).replace('T', ' ')}</td>
            <td>${row.kind.toLowerCase().replaceAll('_', ' ')} ${row.model ?? ''}</td>
            <td class="number">${isCredit ? '+' : '-'}${formatUsdSix(nanoUsd(row.amount))}</td>
            <td class="number">${formatUsdSix(nanoUsd(row.balance_after ?? 0))}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function show(ctx: Context, status: number, main: Html): void {
  const bytes = Buffer.from(layout('Balance', main));
  const { headers } = ctx.state;
  Object.assign(headers, SECURITY);
  headers['content-type'] = HTML_TYPE;
  headers['content-length'] = String(bytes.length);
  ctx.res.writeHead(status, headers);
  ctx.res.end(bytes);
}
