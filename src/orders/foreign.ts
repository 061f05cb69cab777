/**
 * What a media request may not name: things that lie in the operator's account at the upstream, which all callers share, and addresses
 * that the upstream would report to. One list for all providers.
 */
import { AppError } from '../errors.ts';
import { type Fields, isFields, linkOf } from './fields.ts';

/** Earlier jobs, files, voices and characters of whoever made them. */
const STATE = new Set(
  (
    'video_id remixed_from_video_id remix_video_id extend_video_id source_video_id task_id parent_task_id origin_task_id ' +
    'original_task_id external_task_id prediction_id generation_id queue_id request_id job_id file_id file_ids asset_id asset_ids ' +
    'image_id image_ids song_id clip_id continue_clip_id audio_id music_id upload_id persona_id character_id character_ids characters ' +
    'subject_id element_id element_ids avatar_id previous_response_id conversation store deployment store_for_inpainting'
  )
    .split(' ')
    .map(bare),
);
const ADDRESS = /callback|webhook|notify|pollingurl/;
/** Of our own, and taken out before anything is sent. */
const OWN = 'callback_url';
/** Which server and which key: nobody's choice but the gateway's. */
const ROUTE = new Set(
  ['api_key', 'api_base', 'base_url', 'models', 'fallbacks', 'route'].map(bare),
);
/** Places that only somebody's account can read. A text that begins like one has blanks in it. */
const PRIVATE_PLACE = /^(?:asset|gs|s3|file|blob|sediment):\S+\s*$/i;
const MAX_DEPTH = 8;

/** Errors: unsupported_parameter with details.field. */
export function refuseForeign(fields: Fields): void {
  for (const [name, value] of Object.entries(fields)) {
    const plain = bare(name);
    if (ROUTE.has(plain)) throw refused(name, 'the gateway chooses the route');
    if (ADDRESS.test(plain) && name !== OWN) {
      throw refused(name, 'only callback_url is told, by this gateway');
    }
    check(name, value, 0);
  }
}

function check(name: string, value: unknown, depth: number): void {
  if (value === null || value === undefined || value === false || depth > MAX_DEPTH) return;
  const isState = STATE.has(bare(name)) || (depth > 0 && bare(name) === 'id');
  if (isState)
    throw refused(name, 'it names something in the upstream account, which is not yours alone');
  if (typeof value === 'string' && PRIVATE_PLACE.test(linkOf(value))) {
    throw refused(name, 'links must begin with https: or data:');
  }
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) check(isFields(item) ? '' : name, item, depth + 1);
  } else if (isFields(value)) {
    for (const [inner, item] of Object.entries(value)) check(inner, item, depth + 1);
  }
}

/** taskId, task-id, TASKID and what folds to them are one name: some upstreams do not care for case. */
function bare(name: string): string {
  return name.replaceAll(/[-_]/g, '').toUpperCase().toLowerCase();
}

function refused(field: string, why: string): AppError {
  return new AppError('unsupported_parameter', `"${field}" is not supported here: ${why}.`, {
    details: { field },
  });
}
