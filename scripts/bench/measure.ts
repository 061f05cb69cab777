/** One measurement: a job for the load generator against one server, with that server's CPU time around it. */
import { once } from 'node:events';
import type { Job, JobResult } from './load.ts';
import { type Child, cpuMicros, LOAD_CPU, startNode } from './process.ts';

const JOB_TIMEOUT_MS = 120_000;

export interface Sample extends JobResult {
  rps: number;
  cpuUs: number;
}

export interface Load {
  run(job: Job, serverPid: number): Promise<Sample>;
  stop(): Promise<void>;
}

export function startLoad(): Load {
  const child = startNode(new URL('load.ts', import.meta.url), [], {
    cpu: LOAD_CPU,
    wantsChannel: true,
  });
  return { run: (job, serverPid) => run(child, job, serverPid), stop: child.stop };
}

async function run(child: Child, job: Job, serverPid: number): Promise<Sample> {
  child.process.send({ type: 'job', job });
  await message(child, 'ready');
  const before = cpuMicros(serverPid);
  child.process.send({ type: 'go' });
  const { result } = await message(child, 'done');
  if (!result) throw new Error('the load generator gave no result');
  const cpuUs = (cpuMicros(serverPid) - before) / result.requests;
  return { ...result, cpuUs, rps: result.requests / result.seconds };
}

interface Message {
  type: 'ready' | 'done';
  result?: JobResult;
}

async function message(child: Child, type: Message['type']): Promise<Message> {
  const listening = new AbortController();
  const { signal } = listening;
  const timer = setTimeout(() => listening.abort(), JOB_TIMEOUT_MS);
  try {
    const said = once(child.process, 'message', { signal }) as Promise<[Message]>;
    const gone = once(child.process, 'exit', { signal }).then(() => null);
    const [answer] = (await Promise.race([said, gone])) ?? [null];
    if (answer?.type === type) return answer;
    const why = answer ? answer.result?.firstError : child.output();
    throw new Error(`the load generator said ${answer?.type} instead of ${type}: ${why}`);
  } finally {
    clearTimeout(timer);
    listening.abort();
  }
}
