/** The program and its subcommands; the only file that touches `process`. */
import { ConfigError, loadConfig } from './config/load.ts';
import { describeConfig } from './config/describe.ts';
import { type Command, UsageError } from './cli/command.ts';
import { keys, KEYS_HELP } from './cli/keys.ts';
import { serve, SERVE_HELP } from './cli/serve.ts';
import { verify, VERIFY_HELP } from './cli/verify.ts';
import { AppError } from './errors.ts';

const HELP = `farebox COMMAND
  serve          serve (the default)
  demo           start a sandbox and walk through a paid call, from 402 to ledger
  keys           create, list and revoke API keys
  verify         check every invariant of the ledger
  config check   say what the settings come to, or everything that is wrong with them
Each takes --help; those that answer take --json.`;

const CONFIG_HELP = `farebox config check [--json]
Reads environment and YAML as the server would; prints every setting, no secret. Exit code 1 when something is wrong.`;

const HELPS = new Map([
  ['serve', SERVE_HELP],
  ['keys', KEYS_HELP],
  ['verify', VERIFY_HELP],
  ['config', CONFIG_HELP],
]);

const [name = 'serve', ...rest] = process.argv.slice(2);
const command: Command = {
  arguments: rest,
  environment: process.env,
  cwd: process.cwd(),
  pid: process.pid,
  print: (line) => void process.stdout.write(`${line}\n`),
  log: (line) => void process.stderr.write(line),
};

process.on('uncaughtException', die);
process.on('unhandledRejection', die);

try {
  await run();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

async function run(): Promise<void> {
  if (name === '--help' || name === '-h' || name === 'help') return command.print(HELP);
  const help = HELPS.get(name);
  if (help && rest.includes('--help')) return command.print(help);
  switch (name) {
    case 'serve':
      return runServer();
    case 'demo': {
      const { runDemo } = await import('../scripts/demo.ts');
      const flags = { keep: rest.includes('--keep'), json: rest.includes('--json') };
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort());
      process.once('SIGTERM', () => stop.abort());
      const write = (text: string) => void process.stdout.write(text);
      const isExact = await runDemo({ ...flags, write, signal: stop.signal });
      process.exitCode = isExact ? 0 : 1;
      return;
    }
    case 'keys':
      return keys(command);
    case 'verify':
      process.exitCode = (await verify(command)) ? 0 : 1;
      return;
    case 'config':
      if (rest[0] !== 'check') throw new UsageError(CONFIG_HELP);
      return command.print(
        JSON.stringify(describeConfig(loadConfig(process.env, { cwd: process.cwd() })), null, 2),
      );
    default:
      throw new UsageError(`There is no command ${JSON.stringify(name)}.\n${HELP}`);
  }
}

async function runServer(): Promise<void> {
  const serving = await serve(command, die);
  command.print(`Farebox answers at ${serving.url}`);
  let isStopping = false;
  const stop = () => {
    // A second signal does not wait.
    if (isStopping) process.exit(1);
    isStopping = true;
    serving.close().then(() => process.exit(0), die);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** What nobody expected: said once; a restart checks everything before it serves. */
function die(error: unknown): never {
  const line = {
    at: new Date().toISOString(),
    level: 'error',
    event: 'died',
    error: String(error instanceof Error ? error.stack : error),
  };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  process.exit(1);
}

function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof UsageError || error instanceof AppError) {
    return error.message;
  }
  return error instanceof Error ? error.message : String(error);
}
