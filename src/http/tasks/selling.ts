/** What routes that make tasks have in common: what they offer, and a request as the engine takes it. */
import { AppError } from '../../errors.ts';
import type { NewTask, TaskService, TaskType } from '../../tasks/task.ts';
import { admitted } from '../limits.ts';
import { minimumOf, type Offer } from '../payable.ts';
import type { Context } from '../request.ts';
import type { StepOptions } from '../steps.ts';
import { type Fields, fieldsOfBody, peekFields, samenessOf } from './fields.ts';

export interface Shop {
  tasks: TaskService;
  description: string;
  /** Of models that are sold there. */
  types: readonly TaskType[];
  /** The fields as the engine reads them, where the route has names of its own. */
  adapt?: (fields: Fields) => Fields;
  /** Refuses, by the words of a stricter dialect, what the engine would take. */
  require?: (fields: Fields) => void;
}

const MAX_MODEL_LENGTH = 256;

export function taskOffer(shop: Shop): Offer {
  const { tasks, description, types, adapt = same } = shop;
  return {
    description,
    price: (body) => {
      try {
        const fields = adapt(peekFields(body));
        const { model } = fields;
        return typeof model === 'string' ? tasks.price({ model, types, fields }) : null;
      } catch {
        return null;
      }
    },
    check: (ctx) => tasks.check(wantedBy(ctx, shop)),
    takesForms: true,
    sameness: samenessOf,
  };
}

/** The request of a caller who is known by now. */
export function newTask(ctx: Context, options: StepOptions, shop: Omit<Shop, 'tasks'>): NewTask {
  const { principal, requestId, keep } = ctx.state;
  if (!principal) throw new AppError('internal', 'a task without anybody who pays');
  return {
    principal,
    requestId,
    keep,
    ...wantedBy(ctx, shop),
    minimumAvailable: minimumOf(ctx, options.config),
    admit: admitted(ctx, options),
  };
}

function wantedBy(
  ctx: Context,
  { types, adapt = same, require }: Pick<Shop, 'types' | 'adapt' | 'require'>,
) {
  const said = fieldsOfBody(ctx);
  require?.(said);
  const fields = adapt(said);
  return {
    model: modelOf(fields),
    types,
    fields,
    maxCredits: headerOf(ctx, 'x-max-credits'),
    quoteId: headerOf(ctx, 'x-quote-id'),
  };
}

function modelOf({ model }: Fields): string {
  if (typeof model === 'string' && model !== '' && model.length <= MAX_MODEL_LENGTH) return model;
  throw new AppError(
    'invalid_request',
    'The field "model" must be the name of a model, such as those of GET /v1/models.',
    { details: { field: 'model' } },
  );
}

function headerOf({ req }: Context, name: string): string | null {
  const value = req.headers[name];
  return typeof value === 'string' ? value : null;
}

function same(fields: Fields): Fields {
  return fields;
}
