/** Suggestions as the part of a settings file that they would be. */
import type { Rule } from '../pricing/rules.ts';
import type { Imported } from './import.ts';

export interface Terms {
  /** Of every price, on what the operator pays. */
  markup: string;
  /** Where the figures come from, and their day. */
  source: string;
  asOf: string;
}

export function toYaml({ models }: Imported, terms: Terms): string {
  const lines = ['models:'];
  for (const model of models) lines.push(...modelLines(model, terms));
  return `${lines.join('\n')}\n`;
}

function modelLines(model: Imported['models'][number], terms: Terms): string[] {
  const { id, type, name, context, maxOutput, capabilities, params = {} } = model;
  const optional: [string, unknown][] = [
    ['name', name],
    ['context', context],
    ['max_output', maxOutput],
    ['capabilities', capabilities.length ? capabilities : null],
    ['params', Object.keys(params).length ? params : null],
  ];
  return [
    `  - id: ${flow(id)}`,
    `    type: ${type}`,
    ...optional.flatMap(([key, value]) => (value == null ? [] : [`    ${key}: ${flow(value)}`])),
    '    routes:',
    `      - channel: ${flow(model.channel)}`,
    `        model: ${flow(model.upstreamModel)}`,
    '        cost:',
    '          rules:',
    ...model.rules.map((rule) => `            - ${flow(inOrder(rule))}`),
    `    price: { markup: ${flow(terms.markup)} }`,
    ...model.notes.map((note) => `    # not taken over - ${note.replaceAll(/\s+/g, ' ')}`),
    `    source: ${flow(model.source ?? `${terms.source} (${model.provider})`)}`,
    `    as_of: ${flow(terms.asOf)}`,
  ];
}

function inOrder({ unit, per, usd, when }: Rule): Record<string, unknown> {
  return { unit, ...(per !== undefined && { per }), usd, ...(when && { when }) };
}

/** Words that YAML reads as something else than text. */
const OTHER = /^(?:y|n|yes|no|on|off|true|false|null|~)$/i;
const WORD = /^[A-Za-z][A-Za-z0-9_./-]*$/;

/** A value on one line: quoted wherever YAML might take it for a number, a time or a word of its own. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([key, member]) => `${flow(key)}: ${flow(member)}`);
    return members.length ? `{ ${members.join(', ')} }` : '{}';
  }
  if (typeof value !== 'string') return String(value);
  if (WORD.test(value) && !OTHER.test(value)) return value;
  // JSON's text is YAML's, too; single quotes read better where nothing needs escaping.
  return /^[\x20-\x26\x28-\x7e]*$/.test(value) ? `'${value}'` : JSON.stringify(value);
}
