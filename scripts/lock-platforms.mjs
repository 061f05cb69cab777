// Completes package-lock.json with the optional platform packages that the registry used to write it did not have.
// `npm ci` rejects a lock file that does not name every optional dependency of every package in it, even those that
// this platform would skip. Each entry says name, version, os and cpu as the packages' own names spell them; it has
// no integrity, because nothing was downloaded. Run it after `npm install` has rewritten the lock file.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const oses = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32', 'aix', 'sunos'];
const cpus = {
  amd64: 'x64',
  x64: 'x64',
  arm64: 'arm64',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  arm: 'arm',
  loong64: 'loong64',
};

let added = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`;
    const top = `node_modules/${name}`;
    if (path === '' || lock.packages[nested] || lock.packages[top]) continue;
    const words = name.split(/[-/]/);
    const os = words.filter((word) => oses.includes(word));
    const cpu = words.flatMap((word) => cpus[word] ?? []);
    const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) ? ['glibc'] : undefined;
    lock.packages[top] = {
      version,
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...(os.length ? { os } : { os: ['none'] }),
      ...(cpu.length ? { cpu } : {}),
      ...(libc && os[0] === 'linux' ? { libc } : {}),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)),
);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`added ${added} platform packages to package-lock.json`);
