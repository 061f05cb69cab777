/** `config check`: what the settings come to, or everything that is wrong with them. */
import { describeConfig } from '../config/describe.ts';
import { ConfigError, loadConfig } from '../config/load.ts';
import { type Command, UsageError } from './command.ts';

export const CONFIG_HELP = `farebox config check [--json]
Reads environment and YAML as the server would and prints every setting, no secret. Exit code 1 when something is wrong; all of it
is said at once.`;

/** Answers whether the settings are good. */
export function checkConfig(command: Command): boolean {
  const [verb, ...flags] = command.arguments;
  if (verb !== 'check') throw new UsageError(CONFIG_HELP);
  const isJson = flags.includes('--json');
  try {
    const config = loadConfig(command.environment, { cwd: command.cwd });
    const described = describeConfig(config);
    command.print(JSON.stringify(isJson ? { ok: true, config: described } : described, null, 2));
    return true;
  } catch (error) {
    if (!isJson || !(error instanceof ConfigError)) throw error;
    command.print(JSON.stringify({ ok: false, faults: error.faults }, null, 2));
    return false;
  }
}
