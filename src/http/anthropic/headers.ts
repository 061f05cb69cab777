/** What an Anthropic channel is to see of a caller's headers: the version, and those betas that neither cost nor keep anything. */
import type { IncomingMessage } from 'node:http';

const VERSION = /^\d{4}-\d{2}-\d{2}$/;
const MAX_BETAS = 32;

/**
 * By name, whatever their date. Others open what no rule prices (longer contexts, faster answers, tools on the server) or what is
 * kept in the account (files, containers, threads, memories), so they are left out: their fields are then refused upstream.
 */
const HARMLESS = [
  'claude-code',
  'computer-use',
  'context-management',
  'dev-full-thinking',
  'extended-cache-ttl',
  'fine-grained-tool-streaming',
  'interleaved-thinking',
  'mid-conversation-output-config',
  'mid-conversation-tool-changes',
  'model-context-window-exceeded',
  'output-128k',
  'output-300k',
  'pdfs',
  'prompt-caching',
  'structured-outputs',
  'task-budgets',
  'thinking-display-updates',
  'thinking-token-count',
  'token-counting',
  'token-efficient-tools',
];

export function callersHeaders({ headers }: IncomingMessage): Record<string, string> {
  const passed: Record<string, string> = {};
  const version = headers['anthropic-version'];
  if (typeof version === 'string' && VERSION.test(version)) passed['anthropic-version'] = version;
  const betas = harmlessBetas(String(headers['anthropic-beta'] ?? ''));
  if (betas) passed['anthropic-beta'] = betas;
  return passed;
}

function harmlessBetas(header: string): string {
  return header
    .split(',', MAX_BETAS)
    .map((beta) => beta.trim())
    .filter((beta) => HARMLESS.includes(beta.replace(/-\d{4}-?\d{2}-?\d{2}$/, '')))
    .join(',');
}
