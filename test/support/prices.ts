import { readFileSync } from 'node:fs';
import { type Imported, importPrices, type Source, type Wanted } from '../../src/import/import.ts';

export const AS_OF = '2026-08-20';
const FILES: Record<Source, string> = {
  'models.dev': 'models-dev.json',
  litellm: 'litellm.json',
  openrouter: 'openrouter.json',
};

/** What is taken of the few entries of a price file that the tests keep; without wishes all of it. */
export function take(source: Source, wanted: Partial<Wanted> = {}): Imported {
  const file = new URL(`../fixtures/prices/${FILES[source]}`, import.meta.url);
  const all = { provider: null, channel: null, type: null, models: [], asOf: AS_OF };
  return importPrices(source, readFileSync(file, 'utf8'), { ...all, ...wanted });
}
