/** The server of a process, what goes with it, and how it reads its settings again. */
import { type App, createApp } from '../app.ts';
import { BackupSchedule } from '../backup/schedule.ts';
import { systemClock } from '../clock.ts';
import type { Reloaded } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { startControl } from '../control.ts';
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import { BooksCheck } from '../operator/books.ts';
import type { Command } from './command.ts';

interface Open {
  app: App;
  backups: BackupSchedule;
  resources: AsyncDisposableStack;
}

export class Shop {
  readonly #command: Command;
  readonly #log: Log;
  readonly #onFatal: (error: unknown) => void;
  #open: Open | null = null;

  constructor(command: Command, log: Log, onFatal: (error: unknown) => void) {
    this.#command = command;
    this.#log = log;
    this.#onFatal = onFatal;
  }

  get app(): App {
    if (!this.#open) throw new Error('the shop is not open');
    return this.#open.app;
  }

  /** Answers the port. */
  async open(config: Config): Promise<number> {
    await using opened = new AsyncDisposableStack();
    const { pid, cwd, environment, runSelf, spawnSelf } = this.#command;
    const log = this.#log;
    const apply = (actor: string) => this.reload(actor);
    const { backups: schedule } = config;
    const backups = new BackupSchedule({ config: schedule, runSelf, clock: systemClock, log });
    const books = new BooksCheck({ runSelf, clock: systemClock, log });
    const upkeep = { backups: () => backups.status(), books: () => books.status() };
    const app = await createApp(config, {
      log,
      pid,
      onFatal: this.#onFatal,
      site: { environment, cwd, apply, runSelf, spawnSelf, upkeep },
    });
    opened.defer(() => app.close());
    backups.start();
    opened.defer(() => backups.stop());
    books.start();
    opened.defer(() => books.stop());
    const control = await startControl(config.dataDir, app.store, log);
    if (control) opened.use(control);
    const port = await app.listen();
    this.#open = { app, backups, resources: opened.move() };
    return port;
  }

  /**
   * Reads the settings again and takes them into use; see App.reload. Throws ConfigError, or AppError, and changes nothing, where they
   * are wrong.
   */
  async reload(actor: string): Promise<Reloaded> {
    try {
      if (!this.#open) throw new AppError('unavailable', 'The server is starting.');
      const { app, backups } = this.#open;
      const reloaded = await app.reload(await this.#read(), actor);
      backups.replace(app.config.backups);
      const { models, channels } = app.config;
      const { changes, needsRestart } = reloaded;
      this.#log.info('reloaded', { models: models.length, channels: channels.length, changes });
      const changed = needsRestart.join(', ');
      if (changed) this.#log.warn('restart_to_apply', { changed });
      return reloaded;
    } catch (error) {
      this.#log.error('not_reloaded', { error });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#open?.resources.disposeAsync();
  }

  async #read(): Promise<Config> {
    const { cwd } = this.#command;
    return loadConfig(await this.#command.environmentNow(), { cwd });
  }
}
