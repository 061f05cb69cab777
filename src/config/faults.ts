/** Collects what is wrong with the settings, so that all of it is said at once. Values never appear in it: they may be secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n- ${faults.join('\n- ')}`,
    );
    this.faults = faults;
  }
}

export class Faults {
  readonly list: string[] = [];

  /** `path` is the setting as its owner writes it: "PORT", "channels[0].base_url". */
  add(path: string, what: string): void {
    this.list.push(`${path}: ${what}`);
  }

  throwIfAny(): void {
    if (this.list.length) throw new ConfigError(this.list);
  }
}
