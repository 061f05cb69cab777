/** The few files that pages load, read once: ours, and two of npm's as they were published. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../errors.ts';
import type { Context } from '../request.ts';

const require = createRequire(import.meta.url);
const own = (name: string) => fileURLToPath(new URL(`./assets/${name}`, import.meta.url));
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** By the last part of the path: where the file is, and what it is. */
const FILES: Record<string, { file: () => string; type: string }> = {
  'admin.css': { file: () => own('admin.css'), type: STYLE },
  'admin.js': { file: () => own('admin.js'), type: SCRIPT },
  'htmx.js': { file: () => require.resolve('htmx.org/dist/htmx.min.js'), type: SCRIPT },
  'uplot.js': { file: () => require.resolve('uplot/dist/uPlot.iife.min.js'), type: SCRIPT },
  'uplot.css': { file: () => require.resolve('uplot/dist/uPlot.min.css'), type: STYLE },
};

const read = new Map<string, { bytes: Buffer; etag: string }>();

/** GET /admin/assets/{name}: the same for everybody, and kept by browsers until it changes. */
export async function asset(ctx: Context): Promise<void> {
  const name = ctx.path.slice(ctx.path.lastIndexOf('/') + 1);
  const known = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (!known) throw new AppError('not_found', 'There is no such file.');
  const { bytes, etag } = load(name, known.file());
  const { headers } = ctx.state;
  headers['cache-control'] = 'public, no-cache';
  headers['etag'] = etag;
  headers['x-content-type-options'] = 'nosniff';
  if (ctx.req.headers['if-none-match'] === etag) {
    ctx.res.writeHead(304, headers);
    ctx.res.end();
    return;
  }
  headers['content-type'] = known.type;
  headers['content-length'] = String(bytes.length);
  ctx.res.writeHead(200, headers);
  ctx.res.end(bytes);
}

function load(name: string, file: string): { bytes: Buffer; etag: string } {
  const old = read.get(name);
  if (old) return old;
  const bytes = readFileSync(file);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  const made = { bytes, etag };
  read.set(name, made);
  return made;
}
