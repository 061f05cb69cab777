/** A key for every upstream that a key alone configures. */
export const UPSTREAM_KEYS: Record<string, string> = Object.fromEntries(
  [
    'OPENAI_API_KEY',
    'OPENROUTER_API_KEY',
    'ANTHROPIC_API_KEY',
    'GEMINI_API_KEY',
    'XAI_API_KEY',
    'GROQ_API_KEY',
    'TOGETHER_API_KEY',
    'DEEPSEEK_API_KEY',
    'MISTRAL_API_KEY',
    'VENICE_API_KEY',
    'ELEVENLABS_API_KEY',
    'FAL_KEY',
    'REPLICATE_API_TOKEN',
    'ARK_API_KEY',
  ].map((name) => [name, 'sk-one-12345']),
);
