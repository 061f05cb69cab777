/** A sandbox server in this process: test networks, play money, the demo upstream. */
import { createApp } from '../../src/app.ts';
import type { ModelConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

export interface Sandbox {
  url: string;
  model: ModelConfig;
  close(): Promise<void>;
}

export async function startSandbox(dataDir: string): Promise<Sandbox> {
  const environment = {
    SANDBOX: '1',
    PORT: '0',
    HOST: '127.0.0.1',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    // Nobody wants to wait for what is made up.
    SANDBOX_DELAY_MS: '200',
  };
  // The directory is new and empty: no settings of the house apply.
  const config = loadConfig(environment, { cwd: dataDir });
  const model = config.models[0];
  if (!model) throw new Error('the sandbox sells no model');
  const app = await createApp(config);
  const port = await app.listen();
  return { url: `http://127.0.0.1:${port}`, model, close: () => app.close() };
}
