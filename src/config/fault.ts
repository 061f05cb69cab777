/** What is wrong with the configuration, collected so that one start names every fault. No fault ever shows a value. */

/** More than anybody reads; a file of a thousand models can have a thousand. */
const MAX_LISTED = 200;
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]{0,39}$/;
/** A key of the file that is somebody's secret, pasted one column off. */
const SECRET_LOOK = /^(sk|ck|ak|pk|rk|gsk|xai|key)[-_]|^(?=.*[0-9])[A-Za-z0-9_-]{24,}$/i;

export interface Fault {
  /** The setting: "payments.networks[0].pay_to" in the file, or the name of an environment variable. */
  path: string;
  /** What would be right. */
  message: string;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = faults.slice(0, MAX_LISTED).map(({ path, message }) => `  ${path}: ${message}`);
    if (faults.length > MAX_LISTED) lines.push(`  and ${faults.length - MAX_LISTED} more`);
    const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
    super(`The configuration has ${count}:\n${lines.join('\n')}`);
    this.faults = faults;
  }
}

export type Path = readonly (string | number)[];

/** "payments.networks[0].pay_to". A key that looks like a secret is not shown. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${keyText(part)}`;
  }
  return text === '' ? '(top level)' : text;
}

export function keyText(key: string): string {
  return PLAIN_KEY.test(key) && !SECRET_LOOK.test(key)
    ? key
    : `(a key of ${key.length} characters)`;
}

export class Faults {
  readonly #faults: Fault[] = [];
  readonly #seen = new Set<string>();
  readonly #madeFrom = new Map<string, string>();
  readonly #filledFrom = new Map<string, string>();

  /** One fault per setting: the first says enough, later ones mostly follow from it. */
  add(path: Path | string, message: string): void {
    const setting = typeof path === 'string' ? path : this.#setting(path);
    if (this.#seen.has(setting)) return;
    this.#seen.add(setting);
    this.#faults.push({ path: setting, message });
  }

  has(path: Path): boolean {
    return this.#seen.has(this.#setting(path));
  }

  /** The setting does not stand in the file: a fault in it is the variable's. */
  madeFrom(path: Path, variable: string): void {
    this.#madeFrom.set(pathText(path), variable);
  }

  /** The setting stands in the file as ${variable}. */
  filledFrom(path: Path, variable: string): void {
    this.#filledFrom.set(pathText(path), variable);
  }

  #setting(path: Path): string {
    const text = pathText(path);
    const variable = this.#filledFrom.get(text);
    return this.#madeFrom.get(text) ?? (variable === undefined ? text : `${text} (${variable})`);
  }

  /** Throws ConfigError when there is any. */
  check(): void {
    if (this.#faults.length > 0) throw new ConfigError(this.#faults);
  }
}

/** The known name nearest to a mistyped one; null when none is near. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const most = Math.max(1, Math.min(3, Math.floor(name.length / 3)));
  let best: string | null = null;
  let least = most + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), least);
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Levenshtein's distance, or `most` when it is at least that. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return Math.min(row[b.length]!, most);
}
