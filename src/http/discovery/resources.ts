/** What can be bought here, as URLs; routes of models that nobody sells here are left out. */
import type { RouteEntry } from '../router.ts';
import type { Described } from './described.ts';
import type { Site } from './kept.ts';
import { describedOf } from './openapi.ts';

export interface Resource {
  method: 'POST';
  url: string;
  summary: string;
}

export function resources(site: Site): Resource[] {
  const { origin, table } = site;
  return table.flatMap((route) => {
    const described = describedOf(route);
    if (route.right !== 'infer' || !described || !isSold(described, site)) return [];
    return pathsOf(route, site).map((path) => ({
      method: 'POST' as const,
      url: `${origin}${path}`,
      summary: described.summary,
    }));
  });
}

function isSold({ types }: Described, { catalogue }: Site): boolean {
  return !types || catalogue.models().some(({ type }) => types.includes(type));
}

function pathsOf({ path }: RouteEntry, { presets }: Site): string[] {
  if (!path.includes(':preset')) return [path];
  return presets.all().map(({ name }) => path.replace(':preset', name));
}
