/** One server after another in one process: settings that only a start takes over are taken over by a start. */
import { type App, createApp } from '../app.ts';
import { BackupSchedule } from '../backup/schedule.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { startControl } from '../control.ts';
import type { Log } from '../log.ts';
import { BooksCheck } from '../operator/books.ts';
import type { Command } from './command.ts';

interface Open {
  app: App;
  config: Config;
  resources: AsyncDisposableStack;
}

export class Shop {
  readonly #command: Command;
  readonly #log: Log;
  readonly #onFatal: (error: unknown) => void;
  #open: Open | null = null;
  #port = 0;
  /** One change at a time. */
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

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
    this.#open = await this.#start(config);
    return this.#port;
  }

  /** Reads the settings again. Where they are wrong, the old ones stay. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      const { app } = this;
      const next = await this.#read();
      const needsRestart = app.reload(next);
      this.#log.info('reloaded', { models: next.models.length, channels: next.channels.length });
      const changed = needsRestart.join(', ');
      if (changed) this.#log.warn('restart_to_apply', { changed });
    });
  }

  /** The same, and what only a start takes over by one: what is under way ends first. */
  apply(): Promise<void> {
    return this.#inTurn(async () => {
      const old = this.#open;
      const next = await this.#read();
      if (!old || old.app.reload(next).length === 0) return;
      this.#log.info('restarting');
      this.#open = null;
      await old.resources.disposeAsync();
      if (this.#isClosed) return;
      try {
        this.#open = await this.#start(next);
      } catch (error) {
        this.#log.error('not_applied', { error });
        this.#open = await this.#start(old.config);
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await this.#open?.resources.disposeAsync();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      this.#log.error('not_reloaded', { error });
      // Without a server there is nothing left to do: whoever started the process starts it again.
      if (!this.#open) this.#onFatal(error);
    });
    return this.#turn;
  }

  async #read(): Promise<Config> {
    const { cwd } = this.#command;
    return loadConfig(await this.#command.environmentNow(), { cwd });
  }

  async #start(config: Config): Promise<Open> {
    const { pid, cwd, environment, runSelf, spawnSelf } = this.#command;
    const log = this.#log;
    await using opened = new AsyncDisposableStack();
    // The port of the first start: 0 takes a free one, once.
    const server = { ...config.server, port: this.#port || config.server.port };
    const backups = new BackupSchedule({
      config: config.backups,
      runSelf,
      clock: systemClock,
      log,
    });
    const books = new BooksCheck({ runSelf, clock: systemClock, log });
    const upkeep = { backups: () => backups.status(), books: () => books.status() };
    const app = await createApp(
      { ...config, server },
      {
        log,
        pid,
        onFatal: this.#onFatal,
        site: { environment, cwd, apply: () => this.apply(), runSelf, spawnSelf, upkeep },
      },
    );
    opened.defer(() => app.close());
    backups.start();
    opened.defer(() => backups.stop());
    books.start();
    opened.defer(() => books.stop());
    const control = await startControl(config.dataDir, app.store, log);
    if (control) opened.use(control);
    this.#port = await app.listen();
    return { app, config, resources: opened.move() };
  }
}
