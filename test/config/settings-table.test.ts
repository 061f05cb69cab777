import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  $ref?: string;
  default?: unknown;
}

const SCHEMA = JSON.parse(text('config/farebox.schema.json')) as Schema;

interface Row {
  names: string[];
  defaults: string;
}

/** A name without a dot belongs to the block of the one before it, as people read it. */
const TABLE: Row[] = text('README.md')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [, first = '', second = ''] = line.split(/(?<!\\)\|/);
    let block = '';
    const names = [...first.matchAll(/`([^`]+)`/g)].map(([, name = '']) => {
      if (name.includes('.')) block = name.slice(0, name.lastIndexOf('.') + 1);
      return /^[a-z][a-z0-9_]*$/.test(name) ? block + name : name;
    });
    return { names, defaults: second.trim() };
  });
const NAMED = new Set(TABLE.flatMap(({ names }) => names));

/** Blocks with settings of their own; a list is one entry, and its columns say more. */
function settings(): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [block, { properties, items }] of Object.entries(SCHEMA.properties ?? {})) {
    if (items) found.set(`${block}[]`, undefined);
    for (const [name, schema] of Object.entries(properties ?? {})) {
      found.set(
        schema.items && name === 'networks' ? `${block}.networks[]` : `${block}.${name}`,
        schema.default,
      );
    }
  }
  return found;
}

describe('the table of settings', () => {
  it('names every setting of the schema', () => {
    const missing = [...settings().keys()].filter((name) => !NAMED.has(name));
    expect(missing).toEqual([]);
  });

  it('names no block setting that is not read', () => {
    const known = settings();
    const named = [...NAMED].filter((name) => /^[a-z]+\.[a-z0-9_]+$/.test(name));
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(30);
  });

  it('says the defaults of the schema, where it says them as they are written', () => {
    const known = settings();
    let compared = 0;
    for (const { names, defaults } of TABLE) {
      const said = [...defaults.matchAll(/`([^`]+)`/g)].map(([, value = '']) => value);
      if (names.length !== said.length) continue;
      names.forEach((name, n) => {
        const value = known.get(name);
        if (typeof value !== 'string' && typeof value !== 'number') return;
        compared += 1;
        expect([name, said[n]!.replace(/^'(.*)'$/, '$1')]).toEqual([name, String(value)]);
      });
    }
    expect(compared).toBeGreaterThan(15);
  });

  it('or the example names every variable that is read', () => {
    const sources = readdirSync(join(ROOT, 'src/config')).map((name) => text(`src/config/${name}`));
    const read = sources.flatMap((source) =>
      [...source.matchAll(/(?:text|secret|readMasterKey)\(environment, '([A-Z][A-Z0-9_]+)'/g)].map(
        ([, name = '']) => name,
      ),
    );
    expect(read.length).toBeGreaterThan(10);
    const told = text('config/example.env') + [...NAMED].join(' ');
    expect([...new Set(read)].filter((name) => !told.includes(name))).toEqual([]);
  });
});
