/** What a file is, by its own bytes: what an upstream says of it counts only where bytes say nothing. */
import { open } from 'node:fs/promises';
import type { MediaType } from '../config/config.ts';
import { badResult } from './spool.ts';

type Kind = 'image' | 'video' | 'audio';

/** What is kept: our name for it, by what it is recognised as. Everything else is refused. */
const KNOWN: Record<string, string> = {
  'image/png': 'image/png',
  'image/apng': 'image/png',
  'image/jpeg': 'image/jpeg',
  'image/webp': 'image/webp',
  'image/gif': 'image/gif',
  'image/avif': 'image/avif',
  'image/heic': 'image/heic',
  'image/bmp': 'image/bmp',
  'image/tiff': 'image/tiff',
  'image/jxl': 'image/jxl',
  'video/mp4': 'video/mp4',
  'video/x-m4v': 'video/mp4',
  'video/webm': 'video/webm',
  'video/quicktime': 'video/quicktime',
  'video/matroska': 'video/matroska',
  'video/vnd.avi': 'video/x-msvideo',
  'video/mpeg': 'video/mpeg',
  'video/ogg': 'video/ogg',
  'audio/mpeg': 'audio/mpeg',
  'audio/wav': 'audio/wav',
  'audio/flac': 'audio/flac',
  'audio/ogg': 'audio/ogg',
  'audio/aac': 'audio/aac',
  'audio/mp4': 'audio/mp4',
  'audio/x-m4a': 'audio/mp4',
  'audio/aiff': 'audio/aiff',
};

const EXTENSIONS: Record<string, string> = {
  'image/jpeg': 'jpg',
  'image/svg+xml': 'svg',
  'video/quicktime': 'mov',
  'video/matroska': 'mkv',
  'video/x-msvideo': 'avi',
  'video/ogg': 'ogv',
  'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a',
  'audio/webm': 'weba',
};

/** Containers that hold sound alone as well. */
const SOUND_TOO: Record<string, string> = { 'video/mp4': 'audio/mp4', 'video/webm': 'audio/webm' };
/** Sound without any header. */
const RAW_SOUND = /^audio\/(pcm|l16|l24|basic|x-raw)$/;
const SVG =
  /^\s*(<\?xml[^>]{0,200}\?>)?\s*(<!--[^>]{0,500}-->\s*)?(<!DOCTYPE svg[^>]{0,300}>)?\s*<svg[\s>]/i;
const HEAD_BYTES = 4_096;

/** May be shown by a browser where it is; everything else is for saving. */
export function isInline(contentType: string): boolean {
  return Object.values(KNOWN).includes(contentType) || contentType === 'audio/webm';
}

/** "video.mp4". */
export function fileName(contentType: string): string {
  const [kind = 'result', subtype = 'bin'] = contentType.split('/');
  return `${kind}.${EXTENSIONS[contentType] ?? subtype}`;
}

/**
 * The content type of a result. The first of a task must be what its model makes; beside it may lie any picture, film or sound. Throws
 * upstream_failed with details.reason `wrong_type`.
 */
export async function typeOfResult(
  path: string,
  {
    type,
    index,
    claimedType,
  }: { type: MediaType; index: number; claimedType?: string | undefined },
): Promise<string> {
  const wanted = kindOf(type);
  const claimed = (claimedType ?? '').split(';')[0]!.trim().toLowerCase();
  const found = await recognise(path, claimed);
  if (found === null) throw wrongType(wanted, claimed);
  const kind = found.split('/')[0];
  if (kind === wanted) return found;
  if (wanted === 'audio') {
    const sound = SOUND_TOO[found];
    if (sound !== undefined) return sound;
  }
  // Some films come as moving pictures.
  const isFilm = wanted === 'video' && (found === 'image/gif' || found === 'image/webp');
  if (index === 0 && !isFilm) throw wrongType(wanted, found);
  return found;
}

async function recognise(path: string, claimed: string): Promise<string | null> {
  // Loaded with the first result, not with the server.
  const { fileTypeFromFile } = await import('file-type');
  const found = await fileTypeFromFile(path);
  const known = found && KNOWN[found.mime.split(';')[0]!];
  if (known !== undefined) return known;
  const head = await headOf(path);
  if (claimed === 'image/svg+xml' && SVG.test(head.toString('latin1'))) return claimed;
  if (!found && RAW_SOUND.test(claimed) && !isText(head)) return claimed;
  return null;
}

async function headOf(path: string): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Anything that a browser could take for a page. */
function isText(head: Buffer): boolean {
  return !head.includes(0);
}

function kindOf(type: MediaType): Kind {
  switch (type) {
    case 'image':
    case 'image_edit':
    case 'upscale':
    case 'background_remove':
      return 'image';
    case 'video':
      return 'video';
    case 'music':
    case 'sound':
    case 'tts':
    case 'stt':
      return 'audio';
  }
}

function wrongType(wanted: Kind, found: string) {
  const what = /^[\w.+-]+\/[\w.+-]+$/.test(found) ? found : 'something unknown';
  return badResult('wrong_type', `The result should be ${wanted} and is ${what}.`);
}
