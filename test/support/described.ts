/** Descriptions of upstreams, as the settings are read. */
import { loadConfig } from '../../src/config/load.ts';
import type { TaskHttp } from '../../src/config/task-http.ts';

/** `task`: the name of a shipped description, or a block in YAML's flow form. */
export function described(task: string): TaskHttp {
  const file = `channels: [{ id: x, provider: task-http, base_url: "https://a.example", task: ${task} }]`;
  const environment = { FAREBOX_CONFIG: 'x.yaml', KLING_ACCESS_KEY: 'access-key-of-mine' };
  const config = loadConfig(environment, { cwd: '/srv', readFile: () => file });
  return config.channels[0]!.task!;
}
