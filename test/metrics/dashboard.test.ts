import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startApp, type TestApp } from '../support/app.ts';
import { operator } from '../support/operator.ts';
import { json } from '../support/upstream.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

interface Served {
  kind: string;
  /** Of its series; null where there is none yet. */
  labels: Set<string> | null;
}

interface Dashboard {
  panels: { id: number; title: string; targets?: { expr: string }[] }[];
}

const dashboard = JSON.parse(read('config/grafana/farebox.json')) as Dashboard;
const alerts = read('docs/alerts.md');
const rules = parse(/```yaml\n([\s\S]*?)```/.exec(alerts)![1]!) as {
  groups: { rules: { alert: string; expr: string; labels: { severity: string } }[] }[];
};
const asked = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [title, expr]),
  ),
  ...rules.groups.flatMap(({ rules: each }) =>
    each.map(({ alert, expr }): [string, string] => [alert, expr]),
  ),
];
/** Given by Prometheus, or in every histogram. */
const ALWAYS = ['instance', 'le'];

let app: TestApp;
let served: Map<string, Served>;
beforeAll(async () => {
  app = await startApp();
  const boss = await operator(app);
  const { secret } = await app.key('1');
  app.upstream.next(json(500, {}));
  for (let at = 0; at < 2; at += 1) await app.chat({ authorization: `Bearer ${secret}` });
  const wallet = await app.evm();
  await app.post('/x402/top-up', '', { 'payment-signature': await wallet.pay('3') });
  const { text } = await app.get('/metrics', { authorization: `Bearer ${boss.secret}` });
  served = familiesOf(text);
});
afterAll(() => app[Symbol.asyncDispose]());

function familiesOf(text: string): Map<string, Served> {
  const families = new Map<string, Served>();
  for (const [, name = '', kind = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) families.set(name + suffix, { kind, labels: null });
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^(farebox_\w+)(?:\{(.*)\})? /gm)) {
    const names = Array.from(labels.matchAll(/(\w+)="/g), ([, label]) => label!);
    families.get(name)!.labels = new Set(names);
  }
  return families;
}

it('there are panels and rules to look at, each panel once', () => {
  expect(asked.length).toBeGreaterThan(45);
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

describe.each(asked)('%s', (_title, expr) => {
  const names = [...new Set(expr.match(/farebox_\w+/g))];

  it('names figures that /metrics serves, and their labels', () => {
    expect(names.length).toBeGreaterThan(0);
    const labels = new Set<string>(ALWAYS);
    for (const name of names) {
      expect([name, served.has(name)]).toEqual([name, true]);
      for (const label of served.get(name)!.labels ?? []) labels.add(label);
    }
    // What has no series yet tells no labels.
    if (names.some((name) => served.get(name)!.labels === null)) return;
    const inBraces = Array.from(expr.matchAll(/(\w+)(?:=~|!~|!=|=)"/g), ([, label]) => label!);
    const inBy = Array.from(expr.matchAll(/by \(([^)]*)\)/g), ([, list]) => list!.split(', '));
    for (const label of [...inBraces, ...inBy.flat()]) {
      expect([label, labels.has(label)]).toEqual([label, true]);
    }
  });

  it('takes rates of what only grows, and of nothing else', () => {
    for (const [, name = ''] of expr.matchAll(/(?:rate|increase)\((farebox_\w+)/g)) {
      expect([name, served.get(name)!.kind]).toEqual([name, expect.not.stringMatching('gauge')]);
    }
    for (const name of names.filter((each) => served.get(each)!.kind !== 'gauge')) {
      expect(expr).toMatch(new RegExp(`(rate|increase)\\(${name}`));
    }
  });
});

it('the events to alarm on are events of the log', () => {
  const rows = alerts.slice(alerts.indexOf('| event')).split('\n').slice(2);
  const cells = rows.filter((row) => row.startsWith('|')).map((row) => row.split('|')[1]!);
  const events = cells.flatMap((cell) =>
    Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name!),
  );
  expect(events.length).toBeGreaterThan(15);
  const sources = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(`src/${name}`))
    .join('\n');
  for (const event of events)
    expect([event, sources.includes(`'${event}'`)]).toEqual([event, true]);
});
