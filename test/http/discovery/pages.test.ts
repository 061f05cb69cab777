import bs58 from 'bs58';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { type Answer, decoded, readAnswer, startApp, type TestApp } from '../../support/app.ts';
import { newWallet } from '../../support/evm-payment.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

async function form(app: TestApp, fields: Record<string, string>): Promise<Answer> {
  const init = { method: 'POST', body: new URLSearchParams(fields) };
  return readAnswer(await fetch(`${app.url}/balance`, init));
}

/** The text that the page asks a wallet to sign, as a browser sends it back. */
async function textFor(app: TestApp, wallet: string): Promise<string> {
  const { status, text } = await app.get(`/balance?wallet=${wallet}`);
  expect(status).toBe(200);
  return /<textarea[^>]* readonly[^>]*>\n?([^<]*)</.exec(text)![1]!;
}

describe('the page at /', () => {
  it('is a page for browsers, JSON for those who ask, and Markdown for anybody else', async () => {
    await using app = await startApp();
    const typeOf = async (accept?: string) => {
      const { headers } = await app.get('/', accept === undefined ? {} : { accept });
      expect(headers.get('vary')).toContain('Accept');
      return headers.get('content-type')!.split(';')[0];
    };
    expect(await typeOf(BROWSER)).toBe('text/html');
    expect(await typeOf('application/json')).toBe('application/json');
    expect(await typeOf('text/markdown')).toBe('text/markdown');
    expect(await typeOf('*/*')).toBe('text/markdown');
    expect(await typeOf('image/png')).toBe('text/markdown');
  });

  it('says what is sold at which price, and leads nowhere that is not there', async () => {
    await using app = await startApp();
    for (const path of ['/', '/reference', '/balance']) {
      const { text, status, headers } = await app.get(path, { accept: BROWSER });
      expect(status).toBe(200);
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(text).not.toMatch(/<script|\sstyle=|\son\w+=/);
      const links = new Set([...text.matchAll(/href="([^"]+)"/g)].map(([, link]) => link!));
      expect(links.size).toBeGreaterThan(4);
      for (const link of links) {
        if (link.startsWith('data:')) continue;
        if (link.startsWith('#')) expect(text).toContain(`id="${link.slice(1)}"`);
        else expect([link, (await app.get(link)).status]).toEqual([link, 200]);
      }
    }
    const { text } = await app.get('/', { accept: BROWSER });
    for (const { id } of app.app.config.models) expect(text).toContain(`<code>${id}</code>`);
    expect(text).toContain('$0.25 per 1,000,000 input tokens');
  });

  it('shows names of models as text, whatever is in them', async () => {
    await using app = await startApp({
      change: (config) => {
        const [first] = config.models;
        config.models.push({ ...first!, id: '<img src=x onerror=alert(1)>"\'' });
      },
    });
    for (const path of ['/', '/reference']) {
      const { text } = await app.get(path, { accept: BROWSER });
      expect(text).not.toContain('<img');
      if (path === '/') expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;');
    }
  });
});

describe('the page at /balance', () => {
  it('shows balance and transactions to who signs its text, once', async () => {
    await using app = await startApp();
    const { address, signIn } = await app.evm('2.5');
    const { message, signature } = decoded(await signIn()) as unknown as Record<string, string>;
    // Browsers send lines as CR LF.
    const text = message!.replaceAll('\n', '\r\n');
    const fields = { wallet: address, message: text, signature: signature! };
    const shown = await form(app, fields);
    expect(shown.status).toBe(200);
    expect(shown.text).toContain('$2.500000');
    expect(shown.text).toContain('+2.500000');
    expect(shown.headers.get('cache-control')).toBe('private, no-store');
    const again = await form(app, fields);
    expect(again.status).toBe(401);
    expect(again.text).toContain('was used before');
    expect(again.text).not.toContain('2.500000');
  });

  it('takes the signature of a Solana wallet that never was here', async () => {
    await using app = await startApp();
    const keys = nacl.sign.keyPair();
    const wallet = bs58.encode(keys.publicKey);
    const message = await textFor(app, wallet);
    const signature = bs58.encode(nacl.sign.detached(Buffer.from(message), keys.secretKey));
    const shown = await form(app, { wallet, message, signature });
    expect(shown.status).toBe(200);
    expect(shown.text).toContain('$0.000000');
    expect(shown.text).toContain('There are none.');
  });

  it('shows nothing to anybody else, and repeats nothing that is HTML', async () => {
    await using app = await startApp();
    const { address } = await app.evm('1');
    const other = newWallet();
    const message = await textFor(app, address);
    const signature = await other.signMessage({ message });
    const refused = await form(app, { wallet: address, message, signature });
    expect(refused.status).toBe(401);
    expect(refused.text).not.toContain('$1.0');
    const markup = '"><script>alert(1)</script>';
    for (const answer of [
      await app.get(`/balance?wallet=${encodeURIComponent(markup)}`),
      await form(app, { wallet: markup, message: markup, signature: markup }),
      await form(app, { wallet: address, message: markup, signature: markup }),
      await form(app, {}),
    ]) {
      expect([400, 401]).toContain(answer.status);
      expect(answer.headers.get('content-type')).toContain('text/html');
      expect(answer.text).not.toContain('<script');
    }
  });
});
