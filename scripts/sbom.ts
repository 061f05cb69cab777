/**
 * A bill of materials, CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/), of the packages that are really there: `npm sbom` reads the
 * lock file, which knows neither what was left out nor, without development's packages, all of what was not.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface About {
  name?: string;
  version?: string;
  /** Old packages have objects here. */
  license?: unknown;
}

/** As text. `folders`: of the packages; `root`: where package.json and package-lock.json lie. */
export async function sbomOf(folders: Iterable<string>, root: string): Promise<string> {
  const own = (await read(join(root, 'package.json'))) as About;
  const lock = (await read(join(root, 'package-lock.json'))) as {
    packages: Record<string, { version?: string; name?: string; integrity?: string }>;
  };
  const integrity = new Map<string, string>();
  for (const [path, entry] of Object.entries(lock.packages)) {
    const name = entry.name ?? path.split('node_modules/').at(-1);
    if (entry.integrity) integrity.set(`${name}@${entry.version}`, entry.integrity);
  }
  const found = await Promise.all(
    Array.from(folders, async (folder) => (await read(join(folder, 'package.json'))) as About),
  );
  const components = new Map<string, object>([nodeItself()]);
  for (const { name, version, license } of found) {
    if (name === undefined || version === undefined) continue;
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const hash = integrity.get(`${name}@${version}`);
    const library = { type: 'library', 'bom-ref': purl, name, version, purl };
    components.set(purl, {
      ...library,
      ...(typeof license === 'string' && { licenses: [{ expression: license }] }),
      ...(hash?.startsWith('sha512-') && { hashes: [{ alg: 'SHA-512', content: hexOf(hash) }] }),
    });
  }
  const sorted = [...components.keys()].toSorted().map((purl) => components.get(purl));
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${randomUUID()}`,
    version: 1,
    metadata: {
      timestamp: new Date().toISOString(),
      component: { type: 'application', name: own.name, version: own.version },
    },
    components: sorted,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function nodeItself(): [string, object] {
  const version = process.versions.node;
  const purl = `pkg:generic/node@${version}`;
  return [purl, { type: 'platform', 'bom-ref': purl, name: 'node', version, purl }];
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
}

async function read(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
