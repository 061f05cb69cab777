/** Reading one fact of a body, under whichever of its names. */
import { AppError } from '../errors.ts';

export type Fields = Readonly<Record<string, unknown>>;
/** Undefined for a value that says nothing. */
type Read<T> = (value: unknown, field: string) => T | undefined;

/** Members that some dialects put their parameters into. */
const NESTED = ['input', 'parameters', 'extra', 'extra_body', 'options', 'settings'] as const;
const MAX_TEXT = 64;
/** What readers of loose JSON take for true and for false. */
const YES = /^(?:true|yes|on|y|t|1)$/i;
const NO = /^(?:false|no|off|n|f|0)$/i;
const DECIMAL = /^[0-9]{1,9}(\.[0-9]{1,6})?$/;
const SIZE = /^([1-9][0-9]{0,4})\s*[x×*]\s*([1-9][0-9]{0,4})$/i;

/** Members by their bare names, each as it was spelled. */
export type Source = ReadonlyMap<string, readonly [name: string, value: unknown][]>;

/** The body, and the objects in it that parameters may stand in. */
export function sourcesOf(fields: Fields): Source[] {
  const body = sourceOf(fields);
  const nested = NESTED.flatMap((name) => body.get(bare(name)) ?? []);
  return [body, ...nested.flatMap(([, value]) => (isFields(value) ? [sourceOf(value)] : []))];
}

/** Whether parameters stand in what is called so, in a body. */
export function isSource(name: string): boolean {
  return NESTED.some((each) => bare(each) === bare(name));
}

function sourceOf(fields: Fields): Source {
  return Map.groupBy(Object.entries(fields), ([name]) => bare(name));
}

/** numOutputs, num-outputs and NUM_OUTPUTS are one name: some upstreams do not care for case. */
export function bare(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}

/** What all that is said under these names agrees on; undefined where nothing is said. Errors: invalid_request. */
export function agreed<T extends string | number | boolean>(
  sources: readonly Source[],
  names: readonly string[],
  read: Read<T>,
): T | undefined {
  let found: T | undefined;
  let foundAs = '';
  for (const source of sources) {
    for (const [name, value] of names.flatMap((each) => source.get(bare(each)) ?? [])) {
      const isSaid = value !== undefined && value !== null && value !== '';
      const said = isSaid ? read(value, name) : undefined;
      if (said === undefined) continue;
      if (found !== undefined && said !== found) {
        throw wrongField(name, `must say the same as "${foundAs}", or be left out`);
      }
      found = said;
      foundAs = name;
    }
  }
  return found;
}

export function readWhole(most: number): Read<number> {
  return (value, field) => {
    const number = readNumber(value, field);
    if (Number.isInteger(number) && number >= 1 && number <= most) return number;
    throw wrongField(field, `must be a whole number from 1 to ${most}`);
  };
}

/** A number, or its digits: forms and Venice send those. */
export function readNumber(value: unknown, field: string): number {
  const number = typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value;
  if (typeof number === 'number' && number > 0 && number <= 1e9) return number;
  throw wrongField(field, 'must be a number above 0');
}

/** 6, "6", "6s", "auto". */
export function readDuration(value: unknown, field: string): number | 'auto' {
  if (value === 'auto' || value === -1 || value === '-1') return 'auto';
  const seconds = typeof value === 'string' ? value.replace(/\s*s(ec(onds?)?)?$/i, '') : value;
  const number = typeof seconds === 'string' && DECIMAL.test(seconds) ? Number(seconds) : seconds;
  if (typeof number === 'number' && number > 0 && number <= 1e6) return number;
  throw wrongField(field, 'must be seconds, such as 6 or "6s", or "auto"');
}

/** "auto" says nothing. Pixels in one spelling; names as they are. An object of width and height is one of fal's. */
export function readSize(value: unknown, field: string): string | undefined {
  if (isFields(value)) {
    return `${readNumber(value['width'], field)}x${readNumber(value['height'], field)}`;
  }
  const text = readText(value, field);
  const [, width, height] = SIZE.exec(text ?? '') ?? [];
  return width === undefined ? text : `${width}x${height}`;
}

export function readText(value: unknown, field: string): string | undefined {
  if (value === 'auto') return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value === 'string' && value.length <= MAX_TEXT) return value.trim();
  throw wrongField(field, `must be text of at most ${MAX_TEXT} characters`);
}

/** 2, "2", "2x". */
export function readFactor(value: unknown, field: string): string {
  const text = typeof value === 'string' ? value.trim().replace(/x$/i, '') : value;
  return `${readNumber(text, field)}x`;
}

/** Whether there is to be sound. A text is sound that is sent along. */
export function readAudio(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 0) return value === 1;
  const text = typeof value === 'string' && value.length <= MAX_TEXT ? value.trim() : '';
  if (YES.test(text)) return true;
  return NO.test(text) ? false : undefined;
}

const LINK_CHARS = 2_048;
const LONGEST_SCHEME = 64;
// eslint-disable-next-line no-control-regex -- what readers of URLs leave out
const BEFORE_SCHEME = /^[\s\u0000-\u0020]*/;
// eslint-disable-next-line no-control-regex -- the same
const INSIDE_SCHEME = /[\u0000-\u001f]+/g;

/** The beginning of a link as whoever fetches it reads it: control characters before its scheme or inside it are not there. */
export function linkOf(text: string): string {
  const from = BEFORE_SCHEME.exec(text)![0].length;
  const link = text.slice(from, from + LINK_CHARS);
  const colon = link.indexOf(':');
  if (colon < 0 || colon > LONGEST_SCHEME) return link;
  return link.slice(0, colon).replaceAll(INSIDE_SCHEME, '') + link.slice(colon);
}

export function wrongField(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}

export function isFields(value: unknown): value is Fields {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
  );
}
