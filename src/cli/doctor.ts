/** `doctor`: every check of an installation, each with what mends it. */
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { ConfigError, loadConfig } from '../config/load.ts';
import { openDataDir } from '../data-dir.ts';
import { examine, type Finding } from '../doctor/doctor.ts';
import type { Command } from './command.ts';

export const DOCTOR_HELP = `farebox doctor [--json]
Looks at the settings, the upstreams and their keys, every network that can be paid on, PUBLIC_URL, clock, disk, rights and books,
and says of each thing that is wrong what mends it. Buys nothing and changes nothing; works while the server runs.
Exit code 1 when something is broken.`;

const SIGNS: Record<Finding['state'], string> = { good: 'ok  ', warn: 'WARN', bad: 'BAD ' };

/** Answers whether nothing is broken. */
export async function doctor(command: Command): Promise<boolean> {
  const { values } = parseArgs({
    args: command.arguments,
    options: { json: { type: 'boolean', default: false } },
  });
  const findings = await look(command);
  const isGood = findings.every(({ state }) => state !== 'bad');
  if (values.json) {
    command.print(JSON.stringify({ ok: isGood, findings }));
    return isGood;
  }
  for (const { state, subject, message, mend } of findings) {
    command.print(
      `${SIGNS[state]} ${subject}: ${message}${mend === null ? '' : `\n       -> ${mend}`}`,
    );
  }
  return isGood;
}

async function look({ environment, cwd }: Command): Promise<Finding[]> {
  try {
    const config = loadConfig(environment, { cwd });
    await openDataDir(config.dataDir);
    return await examine(config, systemClock);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ path, message }) => ({
      state: 'bad' as const,
      subject: 'settings',
      message: `${path}: ${message}`,
      mend: 'mend this setting',
    }));
  }
}
