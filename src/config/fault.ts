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

  /** Keeps still about a setting whose fault is named elsewhere. */
  silence(path: Path): void {
    this.#seen.add(this.#setting(path));
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

/** The known name nearest to a mistyped one, at most `most` slips away; null when none is near. */
export function nearest(
  name: string,
  known: Iterable<string>,
  most: number = Math.max(1, Math.min(3, Math.floor(name.length / 3))),
): string | null {
  let best: string | null = null;
  let least = most + 1;
  for (const candidate of known) {
    if (Math.abs(name.length - candidate.length) >= least) continue;
    const distance = slips(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Letters that were added, left out, changed or swapped with their neighbour (optimal string alignment). */
function slips(a: string, b: string): number {
  let earlier: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? earlier[j - 2]! + 1 : Infinity;
      next.push(Math.min(changed, swapped, row[j]! + 1, next[j - 1]! + 1));
    }
    earlier = row;
    row = next;
  }
  return row[b.length]!;
}
