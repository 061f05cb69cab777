/** The first run: what an operator answers, looked at live, then written down. Nothing is saved while anything is broken. */
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import type { Clock } from '../clock.ts';
import type { Reloaded } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { checkPayments } from '../doctor/payments.ts';
import { type Finding } from '../doctor/finding.ts';
import { checkUpstreams } from '../doctor/upstreams.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { MasterKey } from '../master-key.ts';
import type { Answers } from './answers.ts';
import { type Draft, draftOf } from './draft.ts';
import { keepSecrets, SETTINGS_FILE } from './kept-secrets.ts';

export interface SetupOptions {
  ledger: Ledger;
  masterKey: MasterKey;
  clock: Clock;
  /** In force. */
  config: Config;
  environment: Environment;
  cwd: string;
  /** Reads the settings again and takes them into use; null where this process cannot. */
  apply: ((actor: string) => Promise<Reloaded>) | null;
}

export interface Checked {
  draft: Draft;
  findings: Finding[];
  isGood: boolean;
}

export class Setup {
  readonly #options: SetupOptions;
  /** One save after another: the secrets of one must not come beside the file of another. */
  #saving: Promise<unknown> = Promise.resolve();

  constructor(options: SetupOptions) {
    this.#options = options;
  }

  /** In force. */
  get config(): Config {
    return this.#options.config;
  }

  /** Why the page cannot change settings; null where it can. */
  get lockedBecause(): string | null {
    const { config } = this.#options;
    if (config.mode === 'sandbox')
      return 'This is the sandbox: it has an upstream and play money of its own.';
    if (config.origin?.isFileFixed) {
      return `FAREBOX_CONFIG names ${config.origin.file}: settings are changed there, and taken over with SIGHUP or with “Read the settings file again” on the page Settings.`;
    }
    return null;
  }

  /** Asks upstream, chain and facilitator. Throws ConfigError for answers that are none. */
  async check(answers: Answers): Promise<Checked> {
    const { environment, cwd, clock, config } = this.#options;
    const { dataDir } = config;
    const draft = await draftOf(answers, { environment, cwd, dataDir, nowMs: clock.nowMs() });
    const parts = await Promise.all([
      checkUpstreams(draft.config.channels, draft.config.models),
      checkPayments(draft.config, clock),
    ]);
    const findings = parts.flat();
    return { draft, findings, isGood: findings.every(({ state }) => state !== 'bad') };
  }

  /** Writes DATA_DIR/farebox.yaml and keeps its secrets sealed. Errors: forbidden, state_conflict where settings are fixed. */
  save(who: Operator, draft: Draft): Promise<void> {
    const turn = this.#saving.then(() => this.#saveNow(who, draft));
    this.#saving = turn.catch(() => {});
    return turn;
  }

  async #saveNow(who: Operator, { text, secrets }: Draft): Promise<void> {
    const { ledger, masterKey, config } = this.#options;
    const actor = operatorName(who);
    const locked = this.lockedBecause;
    if (locked !== null) throw new AppError('state_conflict', locked);
    const path = join(config.dataDir, SETTINGS_FILE);
    // Written beside it first: where the disk is full or closed, no secret of the settings in force has changed.
    const part = await writeBeside(path, text);
    try {
      await ledger.write(async (tx) => {
        await keepSecrets(tx, masterKey.values, secrets);
        const detail = { secrets: Object.keys(secrets) };
        await audit(tx, { actor, action: 'settings.save', target: SETTINGS_FILE, detail });
      });
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
    // What somebody wrote by hand is not lost.
    await copyFile(path, `${path}.before`).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
    await rename(part, path);
  }

  /**
   * Reads the settings again and takes them into use. Null where this process cannot; throws ConfigError, which lists every fault, or
   * AppError, where they are wrong, and changes nothing.
   */
  async apply(who: Operator): Promise<Reloaded | null> {
    const { apply } = this.#options;
    return apply ? apply(operatorName(who)) : null;
  }
}

/** Answers its name, which no other save shares. */
async function writeBeside(path: string, text: string): Promise<string> {
  const part = `${path}.${newId('new')}`;
  try {
    const handle = await open(part, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return part;
}
