/** What is for sale, in both dialects; anybody may look. */
import type { Catalogue } from '../catalogue.ts';
import type { Step } from './in-turn.ts';
import { getModel, listModels } from './openai/models.ts';
import { listAliases, listTraits, listVeniceModels } from './venice/models.ts';

export function modelRoutes(catalogue: Catalogue): [path: string, step: Step][] {
  return [
    ['/v1/models', listModels(catalogue)],
    ['/v1/models/*id', getModel(catalogue)],
    ['/api/v1/models', listVeniceModels(catalogue)],
    ['/api/v1/models/traits', listTraits(catalogue)],
    ['/api/v1/models/compatibility_mapping', listAliases(catalogue)],
  ];
}
