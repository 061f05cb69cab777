/** /api/v1/fashion: presets, each a task out of a few fields; and what there is. */
import { z } from 'zod';
import type { Catalogue } from '../../catalogue.ts';
import type { PresetConfig } from '../../config/config.ts';
import { formatUsd } from '../../money.ts';
import { filled, filledSoFar, type Presets } from '../../presets.ts';
import type { TaskService, TaskType } from '../../tasks/task.ts';
import { inTurn, type Step } from '../in-turn.ts';
import { operation, type Operation } from '../operation.ts';
import { payable } from '../payable.ts';
import type { Context } from '../request.ts';
import { peekFields } from './fields.ts';
import { makeAndWait, makeTask, type MakingOptions } from './making.ts';
import { type Shop, taskOffer } from './selling.ts';

export interface FashionOptions extends MakingOptions {
  catalogue: Catalogue;
  presets: Presets;
  tasks: TaskService;
}

/** POST /api/v1/fashion/:preset: who pays, and the task; behind the steps that every shop has. */
export function fashionShop(options: FashionOptions): Step {
  const steps = new WeakMap<PresetConfig, Step>();
  return (ctx, next) => {
    const preset = options.presets.find(nameOf(ctx));
    let step = steps.get(preset);
    if (!step) steps.set(preset, (step = stepsFor(preset, options)));
    return step(ctx, next);
  };
}

function nameOf(ctx: Context): string {
  return String((ctx as unknown as { params: Record<string, string> }).params['preset']);
}

function stepsFor(preset: PresetConfig, options: FashionOptions): Step {
  const { tasks } = options;
  const types = typesOf(preset, options.catalogue);
  const shop: Shop = {
    tasks,
    types,
    description: preset.description ?? `A task: ${preset.name}`,
    adapt: (fields) => filled(preset, fields),
  };
  const offer = taskOffer(shop);
  const price = (body: Buffer) => priceOf(preset, options, peekFields(body));
  const isImage = types.some((type) => type === 'image' || type === 'image_edit');
  const make = isImage ? makeAndWait(shop, options) : makeTask(shop, options);
  return inTurn([payable(options, { ...offer, price }), make]);
}

function typesOf({ model }: PresetConfig, catalogue: Catalogue): TaskType[] {
  const { type } = catalogue.find(model);
  // No settings file has a preset of these.
  return type === 'text' || type === 'embedding' || type === 'tts' || type === 'stt' ? [] : [type];
}

function priceOf(
  preset: PresetConfig,
  { tasks, catalogue }: FashionOptions,
  given: Record<string, unknown>,
) {
  const types = typesOf(preset, catalogue);
  return tasks.price({ model: preset.model, types, fields: filledSoFar(preset, given) });
}

const described = z.strictObject({
  name: z.string(),
  object: z.literal('gateway.preset'),
  description: z.string().nullable(),
  type: z.string(),
  model: z.string(),
  inputs: z.record(z.string(), z.looseObject({ type: z.string(), required: z.boolean() })),
  /** What it costs at most with everything as usual; null where that cannot be told. */
  max_usd: z.string().nullable(),
});

export function fashionRoutes(options: FashionOptions): ['get', path: string, Operation][] {
  const list = operation({
    summary: 'Presets, and what each asks for',
    right: null,
    answer: z.strictObject({ object: z.literal('list'), data: z.array(described) }),
    run: () => {
      const data = options.presets.all().map((preset) => describe(preset, options));
      return Promise.resolve({ object: 'list', data });
    },
  });
  const one = operation({
    summary: 'One preset, and what it asks for',
    right: null,
    answer: described,
    run: ({ params }) =>
      Promise.resolve(describe(options.presets.find(params['preset'] ?? ''), options)),
  });
  return [
    ['get', '/api/v1/fashion', list],
    ['get', '/api/v1/fashion/:preset', one],
  ];
}

function describe(preset: PresetConfig, options: FashionOptions): z.infer<typeof described> {
  const { name, description, model } = preset;
  const price = priceOf(preset, options, {});
  return {
    name,
    object: 'gateway.preset',
    description,
    type: options.catalogue.find(model).type,
    model,
    inputs: Object.fromEntries(
      Object.entries(preset.inputs).map(([input, about]) => [input, describeInput(about)]),
    ),
    max_usd: price && formatUsd(price.ceiling),
  };
}

function describeInput(input: PresetConfig['inputs'][string]) {
  const { type, description, isRequired, usual, values, min, max, maxLength } = input;
  return {
    type,
    required: isRequired,
    ...(description !== null && { description }),
    ...(usual !== null && { default: usual }),
    ...(type === 'choice' && { values }),
    ...(type === 'number' && { min, max }),
    ...(type === 'text' && { max_length: maxLength }),
  };
}
