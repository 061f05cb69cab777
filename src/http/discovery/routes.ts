/** Every document that says what is here, by its path. */
import { authPage } from './auth-page.ts';
import { apiCatalog, llmsText, wellKnownX402 } from './documents.ts';
import type { Make } from './kept.ts';
import { openapi } from './openapi.ts';

export const DOCUMENTS: readonly (readonly [path: string, make: Make])[] = [
  ['/openapi.json', openapi],
  ['/llms.txt', llmsText],
  ['/auth.md', authPage],
  ['/.well-known/x402', wellKnownX402],
  ['/.well-known/x402.json', wellKnownX402],
  ['/.well-known/api-catalog', apiCatalog],
];
