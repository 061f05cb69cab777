/** Every URL of the pages for everybody. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type DiscoveryOptions, kept } from '../discovery/kept.ts';
import type { Step } from '../in-turn.ts';
import type { RouteEntry } from '../router.ts';
import { askBalance, type BalanceOptions, showBalance } from './balance.ts';
import { home } from './home.ts';
import { reference } from './reference.ts';

export type PublicOptions = DiscoveryOptions & BalanceOptions;

export function publicRoutes(
  options: PublicOptions,
  table: readonly RouteEntry[],
): ['get' | 'post', path: string, Step][] {
  return [
    ['get', '/', home(options, table)],
    ['get', '/reference', kept(options, table, reference)],
    ['get', '/balance', askBalance(options)],
    ['post', '/balance', showBalance(options)],
    ['get', '/site.css', kept(options, table, styles)],
  ];
}

function styles() {
  const file = fileURLToPath(new URL('./site.css', import.meta.url));
  return { type: 'text/css; charset=utf-8', text: readFileSync(file, 'utf8') };
}
