/** Counts what was compared, and keeps what was not equal. */
export class Checks {
  count = 0;
  readonly faults: string[] = [];

  exact(what: string, got: unknown, expected: unknown): void {
    this.count += 1;
    if (got !== expected) this.faults.push(`${what} is ${String(got)}, not ${String(expected)}`);
  }
}
