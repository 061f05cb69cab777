/** A third-party facilitator in a process of its own (facilitator-server.ts), which misbehaves when told to. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface FacilitatorSettings {
  port?: number;
  evm?: {
    chainId: number;
    rpcUrl: string;
    /** Private key that pays the gas; fund it. */
    key: string;
    /** Also settles x402 v1 under this name. */
    v1Name?: string;
    confirmationTimeoutMs?: number;
  };
  svm?: {
    /** CAIP-2. */
    network: string;
    rpcUrl: string;
    /** Base64 of 64 bytes, seed then public key; fund it. */
    secretKey: string;
  };
  /** Leaves x402 v2 out on EVM. */
  v1Only?: boolean;
}

export type FacilitatorMode =
  | 'honest'
  /** Answers /verify and /settle with 429. */
  | 'busy'
  | 'server-error'
  /** HTML with status 200. */
  | 'garbage'
  | 'huge'
  | 'redirect'
  /** Never settles, never answers. */
  | 'hangs'
  /** Says success and moves nothing. */
  | 'lies-success'
  | 'settles-then-hangs'
  | 'settles-then-502'
  /** The connection is cut after settling. */
  | 'settles-then-cuts'
  /** 500 settlement_pending with the transaction, as CDP does. */
  | 'settles-then-pending'
  /** Says insufficient_funds although it moved the money. */
  | 'settles-then-refuses'
  /** Names another payer and amount in its answer. */
  | 'settles-wrong-payer';

export interface FacilitatorCall {
  path: string;
  authorization: string | null;
  body: unknown;
}

export interface TestFacilitator {
  url: string;
  mode(mode: FacilitatorMode): Promise<void>;
  /** Every call but those of the test itself, in order. */
  calls(): Promise<FacilitatorCall[]>;
  stop(): Promise<void>;
}

export async function startFacilitator(settings: FacilitatorSettings): Promise<TestFacilitator> {
  const program = fileURLToPath(new URL('./facilitator-server.ts', import.meta.url));
  const child = fork(program, [JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the facilitator did not start (exit code ${code})`);
    }),
  ])) as [{ port: number }];
  const url = `http://127.0.0.1:${message.port}`;
  return {
    url,
    async mode(mode) {
      await fetch(`${url}/test/mode`, { method: 'POST', body: JSON.stringify({ mode }) });
    },
    async calls() {
      return (await (await fetch(`${url}/test/calls`)).json()) as FacilitatorCall[];
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}
