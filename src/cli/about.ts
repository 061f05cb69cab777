/** `version` and `licences`: what this is, and whose code it carries along. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { joinLicences, licenceOf, packagesBelow } from '../licences.ts';
import type { Command } from './command.ts';

export const VERSION_HELP = `farebox version [--json]
Says which version this is.`;
export const LICENCES_HELP = `farebox licences
Prints Farebox's licence, and those of all code of others that is in this image or file.`;

/** Made with the image and the binary; see scripts/licences.ts. */
const GATHERED = new URL('../../THIRD-PARTY-LICENCES.txt', import.meta.url);
const OWN = new URL('../../LICENSE', import.meta.url);
const PACKAGE = new URL('../../package.json', import.meta.url);
const INSTALLED = new URL('../../node_modules', import.meta.url);

export async function version({ arguments: args, print }: Command): Promise<true> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
  const about = JSON.parse(await readFile(PACKAGE, 'utf8')) as { version: string };
  print(values.json ? JSON.stringify({ version: about.version }) : `farebox ${about.version}`);
  return true;
}

export async function licences({ arguments: args, print }: Command): Promise<true> {
  parseArgs({ args, options: {} });
  const own = await readFile(OWN, 'utf8');
  const others = await readFile(GATHERED, 'utf8').catch(gatherInstalled);
  print(`${own.trim()}\n\nCode of others, under their own licences:\n\n${others.trim()}`);
  return true;
}

/** From source: of what is installed. */
async function gatherInstalled(): Promise<string> {
  const folders = await packagesBelow(fileURLToPath(INSTALLED));
  const found = await Promise.all(folders.map(licenceOf));
  return joinLicences(found.filter((text) => text !== null));
}
