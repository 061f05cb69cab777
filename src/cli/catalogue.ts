/** `catalogue import`: price files of others as suggestions for the settings file. */
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Imported, importPrices, type Source, SOURCES } from '../import/import.ts';
import { femto } from '../pricing/rules.ts';
import { toYaml } from '../import/yaml.ts';
import { type Command, UsageError } from './command.ts';

export const CATALOGUE_HELP = `farebox catalogue import --from ${SOURCES.join('|')} FILE
  [--markup 1.2] [--channel ID] [--provider NAME] [--type TYPE] [--models a,b*] [--json]
Prints the models of a price file as YAML for farebox.yaml: what you would pay as the cost of their route, what you would charge as a
markup on it, and as a comment what the file prices and no rule can say. Nothing is changed; read them before you sell them.
  --from      models.dev: https://models.dev/api.json; litellm: model_prices_and_context_window.json of BerriAI/litellm;
              openrouter: https://openrouter.ai/api/v1/models. FILE is a copy on this machine.
  --markup    decimal; 1 where it is left out: you charge what you pay
  --provider  of the file, such as openai or fal_ai; without it all whose channel is known
  --channel   the id of the channel that their routes name; without it that of the provider's key (openai, fal, …)
  --type      text, embedding, image, image_edit, video, tts or stt
  --models    ids, * for any letters`;

/** No price file that we know of is a tenth of it. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** Answers whether there was anything to suggest. */
export async function catalogue(command: Command): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: command.arguments,
    allowPositionals: true,
    options: {
      from: { type: 'string' },
      markup: { type: 'string', default: '1' },
      channel: { type: 'string' },
      provider: { type: 'string' },
      type: { type: 'string' },
      models: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const [verb, file, ...others] = positionals;
  if (verb !== 'import' || file === undefined || others.length)
    throw new UsageError(CATALOGUE_HELP);
  const source = sourceOf(values.from);
  requireMarkup(values.markup);
  const path = resolve(command.cwd, file);
  const { size, mtime } = await stat(path);
  if (size > MAX_FILE_BYTES) throw new UsageError(`${path} is larger than any price file.`);
  const asOf = mtime.toISOString().slice(0, 10);
  const imported = importPrices(source, await readFile(path, 'utf8'), {
    provider: values.provider ?? null,
    channel: values.channel ?? null,
    type: values.type ?? null,
    models: values.models?.split(',').map((name) => name.trim()) ?? [],
    asOf,
  });
  const yaml = toYaml(imported, { markup: values.markup, source, asOf });
  if (values.json) command.print(JSON.stringify({ ...imported, yaml }));
  else {
    command.print(
      `# ${source}, ${basename(path)} of ${asOf}. Check each price before you sell at it.`,
    );
    command.print(yaml.trimEnd());
    for (const line of summary(imported)) command.log(`${line}\n`);
  }
  return imported.models.length > 0;
}

function sourceOf(from: string | undefined): Source {
  const source = SOURCES.find((known) => known === from);
  if (source) return source;
  throw new UsageError(`--from: must be one of ${SOURCES.join(', ')}.\n${CATALOGUE_HELP}`);
}

function requireMarkup(markup: string): void {
  try {
    femto(markup);
  } catch {
    throw new UsageError('--markup: must be a decimal number such as 1.2.');
  }
}

function summary({ models, skipped }: Imported): string[] {
  const reasons = Map.groupBy(skipped, ({ why }) => why);
  const parts = Map.groupBy(
    models.flatMap(({ id, notes }) =>
      notes.map((note) => ({ id, part: note.split(':', 1)[0] ?? '' })),
    ),
    ({ part }) => part,
  );
  const some = (ids: string[]) =>
    `${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ` and ${ids.length - 5} more` : ''}`;
  return [
    `${models.length} taken, ${skipped.length} left out.`,
    ...Array.from(reasons, ([why, list]) => `left out, ${why}: ${some(list.map(({ id }) => id))}`),
    ...Array.from(parts, ([part, list]) => `without ${part}: ${some(list.map(({ id }) => id))}`),
  ];
}
