/** Our own reading of the settings' schema, against a general validator, over settings that are wrong in every way. */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Schema, Shape } from '../../src/config/shape.ts';
import { randomFrom } from '../../scripts/random.ts';

type Tree = Record<string, unknown> | unknown[];

const ROUNDS = 1_500;
const MOST_FAULTS = 4;
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const schema = JSON.parse(read('config/farebox.schema.json')) as Schema;
const catalogue = readdirSync(new URL('../../config/catalogue', import.meta.url))
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => parse(read(`config/catalogue/${name}`)) as object);
const SETTINGS = [
  parse(read('config/farebox.example.yaml')) as object,
  parse(read('config/demo-models.yaml')) as object,
  parse(read('config/fashion.yaml')) as object,
  { limits: {}, media: { store: 's3', s3: { bucket: 'b' } }, backups: {}, byok: {}, siwx: {} },
  ...catalogue,
];
const WRONG = [null, true, -1, 0, 1.5, 1e12, Number.NaN, '', 'x', '0.5', '🛶', 'a'.repeat(5_000)];
const WRONG_TREES = [[], {}, [null], { x: 1 }, Array.from({ length: 300 }, () => 'x')];

function general() {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, allowUnionTypes: true });
  ajv.addKeyword({ keyword: 'x-right', schemaType: 'string' });
  const validate = ajv.compile(schema);
  return (data: unknown): string[] => {
    validate(data);
    return (validate.errors ?? []).map(
      ({ keyword, instancePath, params }) =>
        `${keyword} ${instancePath} ${params['missingProperty'] ?? params['additionalProperty'] ?? params['propertyName'] ?? ''}`,
    );
  };
}

function ours(data: unknown): string[] {
  return new Shape(schema).check(data).map(({ keyword, path, name }) => {
    const parts = path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1'));
    return `${keyword} ${parts.map((part) => `/${part}`).join('')} ${name}`;
  });
}

/** Every list and block of a tree. */
function branches(tree: unknown): Tree[] {
  if (typeof tree !== 'object' || tree === null) return [];
  return [tree as Tree, ...Object.values(tree).flatMap(branches)];
}

it('finds what a general validator finds, in settings that are wrong in every way, and fills in the same', () => {
  const validate = general();
  const random = randomFrom(7);
  const some = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  let found = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const data = structuredClone(SETTINGS[round % SETTINGS.length]);
    for (let count = Math.ceil(random() * MOST_FAULTS); count > 0; count -= 1) {
      const branch = some(branches(data)) as Record<string, unknown>;
      const name = some([...Object.keys(branch), Array.isArray(branch) ? '0' : 'unknown/~name']);
      if (random() < 0.3 && !Array.isArray(branch)) delete branch[name];
      else branch[name] = structuredClone(some([...WRONG, ...WRONG_TREES]));
    }
    const other = structuredClone(data);
    const errors = ours(data);
    found += errors.length;
    // A wrong name is told with why by the other one, and only once by ours.
    const expected = validate(other).filter((error) => !isWhyOfName(error));
    expect(errors.filter((error) => !isWhyOfName(error)).toSorted()).toEqual(expected.toSorted());
    expect(data).toEqual(other);
  }
  expect(found).toBeGreaterThan(ROUNDS);
});

/** The pattern of names stands at the block, not at the name. */
function isWhyOfName(error: string): boolean {
  return /^pattern \/fashion\/\d+\/inputs $/.test(error);
}
