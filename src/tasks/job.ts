/** A row as its provider sees it. */
import type { ChannelConfig } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import type { Fields, Json, MediaJob } from '../providers/media.ts';
import { readPriced } from './priced.ts';
import { placeOf, type TaskTools } from './tools.ts';

export function jobOf(
  { box }: Pick<TaskTools, 'box'>,
  row: TaskRow,
  channel: ChannelConfig,
): MediaJob {
  const { order, model } = readPriced(row.priced);
  let opened: Fields | null = null;
  return {
    taskId: row.id,
    type: model.type,
    channel,
    upstreamModel: row.upstream_model ?? row.model,
    // Pictures may be in it, and who only polls does not need them.
    get fields() {
      opened ??= row.sealed === null ? {} : openFields(box, row, row.sealed);
      return opened;
    },
    order,
  };
}

function openFields(box: TaskTools['box'], row: TaskRow, sealed: string): Fields {
  return JSON.parse(box.open(placeOf(row, 'fields'), sealed)) as Fields;
}

export function refOf({ box }: Pick<TaskTools, 'box'>, row: TaskRow): Json | undefined {
  return row.ref === null
    ? undefined
    : (JSON.parse(box.open(placeOf(row, 'ref'), row.ref)) as Json);
}
