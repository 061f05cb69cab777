/** POST /api/v1/video/quote and /audio/quote: Venice's prices asked before; the most that the request would hold. */
import { z } from 'zod';
import { type Catalogue, requireMedia } from '../../catalogue.ts';
import type { MediaType } from '../../config/config.ts';
import { formatUsd } from '../../money.ts';
import { estimateOrder } from '../../orders/estimate.ts';
import { type Operation, operation } from '../operation.ts';

export interface VeniceQuoteOptions {
  catalogue: Catalogue;
}

const model = z.string('must be the name of a model, such as those of GET /api/v1/models').min(1);
const answer = z.strictObject({
  /** US dollars. */
  quote: z.number(),
});

/** Everything else about a video is read as in the request itself. */
const video = z.looseObject({ model });
const audio = z.strictObject({
  model,
  duration_seconds: z.union([z.number(), z.string()]).optional(),
  character_count: z.number().optional(),
});

export function quoteVideo(options: VeniceQuoteOptions): Operation {
  return quote('What a video would cost at most', video, ['video'], options);
}

export function quoteAudio(options: VeniceQuoteOptions): Operation {
  return quote(
    'What music, a sound or speech would cost at most',
    audio,
    ['music', 'sound', 'tts'],
    options,
  );
}

function quote(
  summary: string,
  body: z.ZodType<{ model: string; [field: string]: unknown }>,
  types: MediaType[],
  { catalogue }: VeniceQuoteOptions,
): Operation {
  return operation<{ model: string; [field: string]: unknown }>({
    summary,
    right: null,
    body,
    answer,
    run: ({ body: fields }) => {
      const entry = requireMedia(catalogue.entry(fields.model), ...types);
      const { max } = estimateOrder(fields, entry);
      return Promise.resolve({ quote: Number(formatUsd(max)) });
    },
  });
}
