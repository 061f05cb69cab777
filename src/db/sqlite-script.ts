/**
 * Several set-based statements as one. A statement costs a hand-over to another thread and back, more than most of them take to
 * run; so they become the body of a trigger, and one insert into its view runs them all, in order, planned once. Where one of
 * them touches another number of rows than it was given, all of them are undone and GuardMiss is thrown.
 * (PostgreSQL would take one statement with a `with` for each.)
 */
import { CompiledQuery } from 'kysely';
import { GUARD_MARK } from './errors.ts';
import type { Script, ScriptStep } from './script.ts';
import { sqliteRows } from './sqlite.ts';

/** `setUp`: statements to run first, on the connection that runs the script. */
export function sqliteScript(
  name: string,
  steps: readonly ScriptStep[],
): { setUp: string[]; script: Script } {
  const slots = steps.flatMap((_step, index) => [`rows${index}`, `count${index}`]);
  const body = steps.map((step, index) => statement(step, index)).join('\n');
  const text = `insert into temp.${name} values (${slots.map(() => '?').join(', ')})`;
  return {
    setUp: [
      `create temp view ${name} as select ${slots.map((slot) => `null as ${slot}`).join(', ')}`,
      `create temp trigger ${name}_run instead of insert on temp.${name} begin\n${body}\nend`,
    ],
    script: (rows) => {
      const parameters = rows.flatMap((own) => [
        own.length ? JSON.stringify(own) : null,
        own.length,
      ]);
      return CompiledQuery.raw(text, parameters);
    },
  };
}

function statement({ columns, text, isExact }: ScriptStep, index: number): string {
  const own = `${text(sqliteRows(columns, `new.rows${index}`))};`;
  if (!isExact) return own;
  return `${own}\nselect raise(abort, '${GUARD_MARK}step ${index}') where changes() <> new.count${index};`;
}
