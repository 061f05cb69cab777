/** What tools add to the input that is not in the body: a prompt of the upstream's own that explains them to the model. */
import type { Media } from './media.ts';

/** The longest prompts that we know of, for any tools and for each of those that an upstream describes itself. */
const TOOLS_TOKENS = 600;
const BUILT_IN_TOKENS = 1_500;

export function countTools(tools: unknown, media: Media): void {
  if (!Array.isArray(tools) || !tools.length) return;
  const list = tools as unknown[];
  media.hiddenTokens += TOOLS_TOKENS + BUILT_IN_TOKENS * list.filter(isBuiltIn).length;
}

function isBuiltIn(tool: unknown): boolean {
  const type = typeof tool === 'object' && tool !== null && 'type' in tool ? tool.type : null;
  return typeof type === 'string' && type !== 'function' && type !== 'custom';
}
