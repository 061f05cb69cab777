/** Finds and reads the settings file: YAML 1.2, then ${NAME} in every scalar. Faults never quote the text. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { Environment } from './environment.ts';
import type { Faults, Path } from './fault.ts';
import { wantsInteger } from './schema.ts';

/** 5,000 models fit. */
const MAX_FILE_CHARS = 2_097_152;
const MAX_ALIASES = 100;
const MAX_DEPTH = 32;
const VARIABLE = /\$\{([^}]*)\}/g;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export type ReadFile = (path: string) => string;
export const readText: ReadFile = (path) => readFileSync(path, 'utf8');

export interface SettingsFile {
  path: string;
  text: string;
  /** FAREBOX_CONFIG names it, so that nothing else may change settings. */
  isFixed: boolean;
}

/** FAREBOX_CONFIG, else DATA_DIR/farebox.yaml, else config/farebox.yaml, else none. */
export function findFile(
  environment: Environment,
  options: { cwd: string; dataDir: string; readFile: ReadFile },
  faults: Faults,
): SettingsFile | null {
  const named = environment['FAREBOX_CONFIG'];
  const candidates = named
    ? [resolve(options.cwd, named)]
    : [join(options.dataDir, 'farebox.yaml'), resolve(options.cwd, 'config/farebox.yaml')];
  for (const path of candidates) {
    try {
      return { path, text: options.readFile(path), isFixed: Boolean(named) };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      const isAbsent = code === 'ENOENT' || code === 'ENOTDIR';
      if (named) faults.add('FAREBOX_CONFIG', `must name a file that can be read (${code})`);
      else if (!isAbsent) faults.add(path, `must be a file that can be read (${code})`);
      if (named || !isAbsent) return null;
    }
  }
  return null;
}

/** The file's top level; an empty block stands for an absent one. */
export function parseFile(file: SettingsFile, faults: Faults): Record<string, unknown> {
  const refuse = (where: string, message: string) => {
    faults.add(`${file.path}${where}`, message);
    return {};
  };
  if (file.text.length > MAX_FILE_CHARS)
    return refuse('', `must be at most ${MAX_FILE_CHARS} characters`);
  const lines = new LineCounter();
  const document = parseDocument(file.text, {
    prettyErrors: false,
    lineCounter: lines,
    // Checked below: the package compares every key with every other.
    uniqueKeys: false,
    stringKeys: true,
  });
  const problem = firstProblem(document);
  if (problem !== null) {
    const { line, col } = lines.linePos(problem.at);
    const isQuoteMissing = /[[{,].*:\s*\$\{/.test(file.text.split('\n')[line - 1] ?? '');
    const hint = isQuoteMissing ? '; within { } and [ ], "${NAME}" needs its quotes' : '';
    return refuse(`:${line}:${col}`, `must be YAML: ${problem.what}${hint}`);
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    return refuse('', 'must not repeat so much by aliases');
  }
  if (data === null || data === undefined) return {};
  if (typeof data !== 'object' || Array.isArray(data)) {
    return refuse('', 'must hold blocks such as "payments:" and "channels:"');
  }
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null));
}

/** The first only: in broken YAML the others mostly follow from it. */
function firstProblem(document: Document): { at: number; what: string } | null {
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    return { at: error.pos[0], what: error.code.toLowerCase().replaceAll('_', ' ') };
  }
  let repeated: number | null = null;
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) repeated ??= key.range?.[0] ?? 0;
        seen.add(key.value);
      }
    },
  });
  return repeated === null ? null : { at: repeated, what: 'this key is there already' };
}

/** `data` with each ${NAME} replaced. A scalar whose variable is missing is left out, and the fault names the variable. */
export function fillVariables(
  data: Record<string, unknown>,
  environment: Environment,
  faults: Faults,
): Record<string, unknown> {
  const fill = (value: unknown, path: Path): unknown => {
    if (path.length > MAX_DEPTH) return faults.add(path, 'must not be nested so deep');
    if (typeof value === 'string') return fillScalar(value, path, environment, faults);
    if (Array.isArray(value)) return value.map((item, n) => fill(item, [...path, n]));
    if (typeof value !== 'object' || value === null) return value;
    const filled = Object.entries(value).map(([key, item]) => [key, fill(item, [...path, key])]);
    return Object.fromEntries(filled.filter(([, item]) => item !== undefined));
  };
  return fill(data, []) as Record<string, unknown>;
}

function fillScalar(text: string, path: Path, environment: Environment, faults: Faults): unknown {
  if (!text.includes('${')) return text;
  const names = Array.from(text.matchAll(VARIABLE), (match) => match[1]!);
  const problems = names.flatMap((name) => problemWith(name, environment));
  if (names.length === 0) problems.push('must close each ${ with }, like ${OPENAI_API_KEY}');
  if (problems.length > 0) return faults.add(path, problems.join('; '));
  for (const name of names) faults.filledFrom(path, name);
  const filled = text.replaceAll(VARIABLE, (_, name: string) => environment[name]!);
  const isNumber = /^-?[0-9]{1,15}$/.test(filled) && wantsInteger(path);
  return isNumber ? Number(filled) : filled;
}

function problemWith(name: string, environment: Environment): string[] {
  if (!VARIABLE_NAME.test(name)) return ['must name an environment variable between ${ and }'];
  const value = environment[name];
  if (value === undefined) return [`needs the environment variable ${name}, which is not set`];
  return value.trim() === '' ? [`needs the environment variable ${name}, which is empty`] : [];
}
