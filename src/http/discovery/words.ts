/** Prices and networks in words, for pages that people and agents read. */
import { KNOWN_NETWORKS } from '../../chains/networks.ts';
import type { ModelConfig } from '../../config/config.ts';

/** Rules of one model that are spelled out; the rest is in GET /v1/models. */
const MOST_RULES = 4;

/** "$0.25 per 1,000,000 input tokens; …": rules times the markup, in the order in which they are tried. */
export function priceInWords({ price }: ModelConfig): string {
  const { rules, markup = '1' } = price;
  const said = rules.slice(0, MOST_RULES).map((rule) => {
    const { unit, usd, when, per = 1 } = rule;
    const facts = Object.entries(when ?? {}).map(([name, value]) => `${name} ${plain(value)}`);
    const units = unit.replaceAll('_', ' ');
    const amount = `$${times(usd, markup)} per ${per === 1 ? units : `${per.toLocaleString('en')} ${units}s`}`;
    return facts.length ? `${amount} (${facts.join(', ')})` : amount;
  });
  const more = rules.length - said.length;
  const upstream = 'upstream' in price && price.upstream ? ['what the upstream charges'] : [];
  return [...upstream, ...said, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** For reading: what is charged is worked out exactly, elsewhere. */
function times(usd: string, markup: string): string {
  const text = String(Number((Number(usd) * Number(markup)).toPrecision(12)));
  return /\.\d$/.test(text) ? `${text}0` : text;
}

export function networkInWords(network: string): string {
  const title = KNOWN_NETWORKS.get(network)?.title;
  return title ? `${title} (${network})` : network;
}
