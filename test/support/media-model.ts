/** Media models as a settings file describes them, read and compiled. */
import { Catalogue, type MediaEntry } from '../../src/catalogue.ts';
import type { MediaType } from '../../src/config/config.ts';
import { load } from './config.ts';

export interface DescribedModel {
  id?: string;
  type?: MediaType;
  params?: object;
  price: object;
}

/** The settings of a server that sells these; JSON is YAML. */
export function fileOf(...models: DescribedModel[]): string {
  return JSON.stringify({
    channels: [
      {
        id: 'main',
        // It serves models of every type.
        provider: 'venice',
        base_url: 'https://api.example.com/v1',
        api_key: 'sk-test-key',
      },
    ],
    models: models.map((model) => ({
      id: 'm',
      type: 'image',
      routes: [{ channel: 'main' }],
      ...model,
    })),
  });
}

export function catalogueOf(...models: DescribedModel[]): Catalogue {
  return new Catalogue(load(fileOf(...models)).models);
}

export function mediaModel(
  type: MediaType,
  rules: object[],
  params: object = {},
  more: object = {},
): MediaEntry {
  return catalogueOf({
    type,
    params,
    price: { ...(rules.length > 0 && { rules }), ...more },
  }).mediaEntry('m');
}
