/** An operator in front of the site: signed in, fetching pages, sending their forms. */
import { HOUSE_ACCOUNT } from '../../src/keys/keys.ts';
import type { TestApp } from './app.ts';

export interface Site {
  cookie: string;
  /** The text of a page; throws where it is none. */
  page(path: string): Promise<string>;
  /** Sends a form; follows to where it leads. */
  send(
    path: string,
    fields: Record<string, string>,
  ): Promise<{ status: number; to: string; text: string }>;
}

export async function site(app: TestApp): Promise<Site> {
  const { keys } = app.app.store;
  const made = { type: 'ADMIN', description: 'site', accountId: HOUSE_ACCOUNT } as const;
  const { secret } = await keys.create(made, { actor: 'test' });
  const ask = (path: string, init: RequestInit) =>
    fetch(app.url + path, { redirect: 'manual', ...init });
  const headers = { origin: app.url, 'sec-fetch-site': 'same-origin' };
  const body = new URLSearchParams({ key: secret });
  const entered = await ask('/admin/login', { method: 'POST', headers, body });
  const cookie = (entered.headers.get('set-cookie') ?? '').split(';')[0]!;
  const page = async (path: string) => {
    const answer = await ask(path, { headers: { cookie } });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path} answers ${answer.status}: ${text}`);
    return text;
  };
  const csrf = /name="csrf" value="([^"]+)"/.exec(await page('/admin'))?.[1] ?? '';
  return {
    cookie,
    page,
    send: async (path, fields) => {
      const form = new URLSearchParams({ csrf, ...fields });
      const init = { method: 'POST', headers: { ...headers, cookie }, body: form };
      const answer = await ask(path, init);
      const to = answer.headers.get('location') ?? '';
      return { status: answer.status, to, text: await answer.text() };
    },
  };
}
