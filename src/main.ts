/** The program and its subcommands; the only file that touches `process`. */
import { enableCompileCache } from 'node:module';
import type { Command } from './cli/command.ts';

// Before anything else is loaded: a restart then takes two thirds of the time.
enableCompileCache();

const HELP = `farebox COMMAND
  serve          serve (the default)
  demo           start a sandbox and walk through a paid call, from 402 to ledger
  keys           create, list and revoke API keys
  verify         check every invariant of the ledger
  config check   say what the settings come to, or everything that is wrong with them
Each takes --help; those that answer take --json.`;

const [name = 'serve', ...rest] = process.argv.slice(2);
const isHelp = rest.includes('--help') || rest.includes('-h');
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
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function run(): Promise<void> {
  switch (name) {
    case '--help':
    case '-h':
    case 'help':
      return command.print(HELP);
    case 'serve':
      return runServer();
    case 'demo':
      return runDemoCommand();
    case 'keys': {
      const { keys, KEYS_HELP } = await import('./cli/keys.ts');
      return isHelp ? command.print(KEYS_HELP) : keys(command);
    }
    case 'verify': {
      const { verify, VERIFY_HELP } = await import('./cli/verify.ts');
      if (isHelp) return command.print(VERIFY_HELP);
      process.exitCode = (await verify(command)) ? 0 : 1;
      return;
    }
    case 'config': {
      const { checkConfig, CONFIG_HELP } = await import('./cli/config.ts');
      if (isHelp) return command.print(CONFIG_HELP);
      process.exitCode = checkConfig(command) ? 0 : 1;
      return;
    }
    default:
      throw new Error(`There is no command ${JSON.stringify(name)}.\n${HELP}`);
  }
}

async function runServer(): Promise<void> {
  const { serve, SERVE_HELP } = await import('./cli/serve.ts');
  if (isHelp) return command.print(SERVE_HELP);
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

async function runDemoCommand(): Promise<void> {
  const { runDemo, DEMO_HELP } = await import('../scripts/demo.ts');
  if (isHelp) return command.print(DEMO_HELP);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const isExact = await runDemo({
    keep: rest.includes('--keep'),
    json: rest.includes('--json'),
    write: (text) => void process.stdout.write(text),
    signal: stop.signal,
  });
  process.exitCode = isExact ? 0 : 1;
}

/** What nobody expected: said once; a restart checks everything before it serves. */
function die(error: unknown): never {
  const text = String(error instanceof Error ? error.stack : error);
  const line = { at: new Date().toISOString(), level: 'error', event: 'died', error: text };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  process.exit(1);
}
