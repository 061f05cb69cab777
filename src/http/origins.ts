/** Where clients reach this server. Configured, never taken from a request: a Host header only chooses among them. */
import type { ServerConfig } from '../config/config.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** PUBLIC_URL alone; a server that only this machine reaches may go without and is dialled by its loopback names. */
export function originsOf({ publicUrl, host }: ServerConfig, port: number): string[] {
  if (publicUrl !== null) return [publicUrl];
  if (!LOOPBACK.test(host)) return [];
  return ['127.0.0.1', 'localhost', '[::1]'].map((name) => `http://${name}:${port}`);
}

export class Origins {
  /** Shared with whoever needs the list itself; filled once the port is known. */
  readonly list: string[] = [];
  readonly #byHost = new Map<string, string>();

  set(origins: string[]): void {
    this.list.splice(0, this.list.length, ...origins);
    this.#byHost.clear();
    for (const origin of origins) this.#byHost.set(new URL(origin).host, origin);
  }

  /** The origin that a Host header names; the first for any other. Empty before `set`. */
  dialled(host: string | undefined): string {
    const origin = host === undefined ? undefined : this.#byHost.get(host.toLowerCase());
    return origin ?? this.list[0] ?? '';
  }
}
