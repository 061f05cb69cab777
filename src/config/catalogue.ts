/** The shipped catalogue: what is sold where the settings file lists no models, over the channels that there are. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mode } from './config.ts';
import { Faults } from './fault.ts';
import { parseFile, readText } from './file.ts';
import type { RawChannel, RawModel } from './raw.ts';

/** No default is filled in yet. */
type ShippedModel = Partial<RawModel>;

const FOLDER = fileURLToPath(new URL('../../config/catalogue', import.meta.url));
const DEMO = fileURLToPath(new URL('../../config/demo-models.yaml', import.meta.url));

/** In the settings file's own form; models without a channel are left out. */
export function shippedModels(mode: Mode, channels: unknown, faults: Faults): ShippedModel[] {
  const list: unknown[] = Array.isArray(channels) ? channels : [];
  const ids = list.flatMap((channel) => (channel as RawChannel | null)?.id ?? []);
  const models = filesOf(mode, ids).flatMap(({ path, text }) => {
    const file = parseFile({ path, text, isFixed: true }, faults) as { models?: ShippedModel[] };
    return (file.models ?? []).flatMap((model) => {
      const routes = (model.routes ?? []).filter((route) => ids.includes(route?.channel ?? ''));
      return routes.length === 0 ? [] : [{ ...model, routes }];
    });
  });
  return withOneOfEachRole(models);
}

/** The prices times `catalogue.markup`. What is no factor is left for the schema to refuse. */
export function markedUp(models: ShippedModel[], catalogue: unknown): ShippedModel[] {
  const markup =
    typeof catalogue === 'object' && catalogue !== null && 'markup' in catalogue
      ? catalogue.markup
      : undefined;
  if (typeof markup !== 'string') return models;
  return models.map((model) => ({ ...model, price: { ...model.price, markup } }) as ShippedModel);
}

/** Shipped text models for a server of which only the names of its models are known: each at the price of the model of that name. */
export function shippedLike(names: readonly string[], channel: string): ShippedModel[] {
  const faults = new Faults();
  const known = new Map<string, ShippedModel>();
  for (const name of readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .toSorted()) {
    const path = join(FOLDER, name);
    const file = parseFile({ path, text: readText(path), isFixed: true }, faults) as {
      models?: ShippedModel[];
    };
    for (const model of file.models ?? []) {
      for (const id of [model.id, ...(model.routes ?? []).map((route) => route?.model)]) {
        if (id !== undefined && !known.has(id)) known.set(id, model);
      }
    }
  }
  return names.flatMap((name) => {
    const model = known.get(name) ?? known.get(name.slice(name.lastIndexOf('/') + 1));
    const isText = model && (model.type ?? 'text') === 'text';
    if (!isText) return [];
    // Its price is a markup on what its route costs.
    const cost = model.routes?.find((route) => route?.cost)?.cost;
    const route = { channel, model: name, ...(cost && { cost }) };
    return [{ ...model, id: name, routes: [route], traits: [], aliases: [] } as ShippedModel];
  });
}

/** Those that name one of the channels, in their order: reading all of them would take most of a start. */
function filesOf(mode: Mode, ids: string[]): { path: string; text: string }[] {
  if (mode === 'sandbox') return [{ path: DEMO, text: readText(DEMO) }];
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  const files = names.toSorted().flatMap((name) => {
    const path = join(FOLDER, name);
    const text = readText(path);
    const first = ids.findIndex((id) => text.includes(`channel: ${id}`));
    return first < 0 ? [] : [{ path, text, first }];
  });
  return files.toSorted((a, b) => a.first - b.first);
}

/** The files name roles as if each were alone; with several channels the first one that has a model for it fills it. */
function withOneOfEachRole(models: ShippedModel[]): ShippedModel[] {
  const taken = new Set<string>();
  return models.map((model) => {
    const { type = 'text', traits = [] } = model;
    const free = traits.filter((trait) => !taken.has(`${type} ${trait}`));
    for (const trait of free) taken.add(`${type} ${trait}`);
    return free.length === traits.length ? model : { ...model, traits: free };
  });
}
