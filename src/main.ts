/** The program and its subcommands; the only file that touches `process`. */
import { spawn } from 'node:child_process';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Command, exitCodeOf, explain } from './cli/command.ts';
import type { serve } from './cli/serve.ts';
import { spawner, type SpawnSelf } from './playground/spawn.ts';
import type { runDemo } from '../scripts/demo.ts';

// Before anything else is loaded: a restart then takes two thirds of the time. Beside the code, whose owner it trusts; not in the
// system's temporary folder, which is everybody's.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/farebox', import.meta.url)));

const HELP = `farebox COMMAND
  serve          serve (the default)
  demo           start a sandbox and walk through a paid call, from 402 to ledger
  keys           create, list and revoke API keys; reset-admin
  backup FILE    copy the ledger to a file, also of a server that runs
  restore FILE   put such a copy in the ledger's place
  verify         check every invariant of the ledger
  doctor         check the whole installation, and say what mends what is wrong
  config check   say what the settings come to, or everything that is wrong with them
  catalogue import   turn a price list of models.dev, LiteLLM or OpenRouter into models for the settings file
  version        say which version this is
  licences       print the licences of Farebox and of all code of others that it carries along
Each takes --help and --json, and exits with 1 when it fails, 2 when it was called wrongly.`;

/** `npm start` sends each signal on that its terminal sends to all: two at once are one. */
const SAME_SIGNAL_MS = 1_000;
/** Longer than the longest drain that makes sense. */
const STOP_MS = 120_000;
/** Of what a process of ours says, kept for the log. */
const MAX_COMPLAINT = 4_096;
const MAX_OUT = 65_536;

/**
 * These need no settings, so that wrong ones do not keep them from answering. The playground's child is told all that it may know, and reads
 * nothing of the house.
 */
const ABOUT = ['playground', 'version', '--version', '-v', 'licences', 'licenses'];

const [name = 'serve', ...rest] = process.argv.slice(2);
const isHelp = rest.includes('--help') || rest.includes('-h');
const isJson = rest.includes('--json');
const command: Command = {
  arguments: rest,
  environment: process.env,
  environmentNow,
  cwd: process.cwd(),
  pid: process.pid,
  runSelf,
  spawnSelf,
  print: (line) => void process.stdout.write(`${line}\n`),
  log: (line) => void process.stderr.write(line),
};

process.on('uncaughtException', die);
process.on('unhandledRejection', die);

try {
  if (!isHelp && !ABOUT.includes(name)) command.environment = await environmentNow();
  const isGood = await run();
  process.exitCode = isGood ? 0 : 1;
} catch (error) {
  const { text, json } = explain(error);
  if (isJson) process.stdout.write(`${JSON.stringify(json)}\n`);
  else process.stderr.write(`${text}\n`);
  process.exit(exitCodeOf(error));
}

/** What was given on the set-up page stands beside the environment. */
async function environmentNow(): Promise<Command['environment']> {
  const { withKeptSecrets } = await import('./setup/kept-secrets.ts');
  return withKeptSecrets(process.env, command.cwd);
}

/** Each command's code is loaded when it runs. Answers whether all went well. */
async function run(): Promise<boolean> {
  switch (name) {
    case '--help':
    case '-h':
    case 'help':
      return say(HELP);
    case 'version':
    case '--version':
    case '-v': {
      const { version, VERSION_HELP } = await import('./cli/about.ts');
      return isHelp ? say(VERSION_HELP) : version(command);
    }
    case 'licences':
    case 'licenses': {
      const { licences, LICENCES_HELP } = await import('./cli/about.ts');
      return isHelp ? say(LICENCES_HELP) : licences(command);
    }
    case 'serve': {
      const commands = await import('./cli/serve.ts');
      return isHelp ? say(commands.SERVE_HELP) : runServer(commands.serve);
    }
    case 'demo': {
      const commands = await import('../scripts/demo.ts');
      return isHelp ? say(commands.DEMO_HELP) : runUntilSignal(commands.runDemo);
    }
    case 'keys': {
      const { keys, KEYS_HELP } = await import('./cli/keys.ts');
      return isHelp ? say(KEYS_HELP) : keys(command);
    }
    case 'backup': {
      const { backup, BACKUP_HELP } = await import('./cli/backup.ts');
      return isHelp ? say(BACKUP_HELP) : backup(command);
    }
    case 'restore': {
      const { restore, RESTORE_HELP } = await import('./cli/backup.ts');
      return isHelp ? say(RESTORE_HELP) : restore(command);
    }
    case 'verify': {
      const { verify, VERIFY_HELP } = await import('./cli/verify.ts');
      return isHelp ? say(VERIFY_HELP) : verify(command);
    }
    case 'doctor': {
      const { doctor, DOCTOR_HELP } = await import('./cli/doctor.ts');
      return isHelp ? say(DOCTOR_HELP) : doctor(command);
    }
    case 'config': {
      const { checkConfig, CONFIG_HELP } = await import('./cli/config.ts');
      return isHelp ? say(CONFIG_HELP) : checkConfig(command);
    }
    case 'catalogue': {
      const { catalogue, CATALOGUE_HELP } = await import('./cli/catalogue.ts');
      return isHelp ? say(CATALOGUE_HELP) : catalogue(command);
    }
    case 'playground': {
      const { playground } = await import('../scripts/playground.ts');
      return endAfter(playground(rest[0] ?? '', process.stdin, command.print));
    }
    default: {
      const { UsageError } = await import('./cli/command.ts');
      throw new UsageError(`There is no command ${JSON.stringify(name)}.\n${HELP}`);
    }
  }
}

function say(text: string): true {
  command.print(text);
  return true;
}

/** Serves until a signal; then what is under way ends first. */
async function runServer(start: typeof serve): Promise<boolean> {
  const signalled = firstSignal();
  let reload = () => {};
  process.on('SIGHUP', () => reload());
  const serving = await start(command, die);
  reload = () => serving.reload();
  await signalled;
  setTimeout(() => die(new Error('the server did not end in time')), STOP_MS).unref();
  await serving.close();
  process.exit(0);
}

/** Whatever is still open then ends with it. */
async function endAfter(work: Promise<void>): Promise<never> {
  await work;
  process.exit(0);
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | null = null;
    const stop = () => {
      // Whoever asks again does not want to wait.
      if (firstAt !== null && performance.now() - firstAt > SAME_SIGNAL_MS) process.exit(1);
      firstAt ??= performance.now();
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

function runUntilSignal(start: typeof runDemo): Promise<boolean> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  return start({
    keep: rest.includes('--keep'),
    json: isJson,
    write: (text) => void process.stdout.write(text),
    signal: stop.signal,
  });
}

/** The program again, with another command; what it says on standard error is its complaint. */
function runSelf(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ code: number | null; out: string; complaint: string }> {
  return new Promise((resolve, reject) => {
    const own = process.argv[1] === undefined ? [] : [process.argv[1]];
    const child = spawn(process.execPath, [...own, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (out.length < MAX_OUT) out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < MAX_COMPLAINT) complaint += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, complaint }));
  });
}

/** As runSelf, beside this process and with none of its secrets. */
function spawnSelf(...[args, on]: Parameters<SpawnSelf>): ReturnType<SpawnSelf> {
  const own = process.argv[1] === undefined ? [] : [process.argv[1]];
  return spawner({ file: process.execPath, own, environment: process.env })(args, on);
}

/** What nobody expected: said once; a restart checks everything before it serves. */
function die(error: unknown): never {
  const text = String(error instanceof Error ? error.stack : error);
  const line = { at: new Date().toISOString(), level: 'error', event: 'died', error: text };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  process.exit(1);
}
