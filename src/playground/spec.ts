/** What the child is to be: the operator's models, prices and limits as they stand, over the demo upstream, with play money. No secret. */
import { deserialize, serialize } from 'node:v8';
import type { Config, LimitsConfig, ModelConfig, PaymentsConfig } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { DEMO_CHANNEL, DEMO_MEDIA_CHANNEL } from '../config/sandbox.ts';
import type { NanoUsd } from '../money.ts';

export interface Spec {
  dataDir: string;
  models: ModelConfig[];
  limits: LimitsConfig;
  amounts: Omit<PaymentsConfig, 'networks'>;
  creditUsd: NanoUsd;
}

const DRAIN_MS = 300;
const DELAY_MS = 200;
const DIRECT = new Set<ModelConfig['type']>(['text', 'embedding', 'tts', 'stt']);

export function specOf(config: Config, models: ModelConfig[], dataDir: string): Spec {
  const { networks: _real, ...amounts } = config.payments;
  return {
    dataDir,
    models: models.map(behindDemo),
    limits: config.limits,
    amounts,
    creditUsd: config.creditUsd,
  };
}

/** Whether its price can be told without its upstream, which is not asked here. */
export function isPriced({ price }: ModelConfig): boolean {
  return price.rules.length > 0;
}

/** The price stays as it is; what the operator pays for it, and where, is nobody's business here. */
function behindDemo(model: ModelConfig): ModelConfig {
  const { upstream: _asked, ...price } = model.price;
  const channel = DIRECT.has(model.type) ? DEMO_CHANNEL : DEMO_MEDIA_CHANNEL;
  const listed = isPriced(model) ? price : model.price;
  return { ...model, price: listed, routes: [{ channel, model: model.id }] } as ModelConfig;
}

export function configOf(spec: Spec): Config {
  const { dataDir, models, limits, amounts, creditUsd } = spec;
  const environment = {
    SANDBOX: '1',
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    SANDBOX_DELAY_MS: String(DELAY_MS),
  };
  // The directory is new and empty: no settings of the house apply.
  const base = loadConfig(environment, { cwd: dataDir });
  return {
    ...base,
    models,
    presets: [],
    limits: { ...limits, drainMs: DRAIN_MS },
    payments: { ...amounts, networks: base.payments.networks },
    creditUsd,
    demo: { ...base.demo, isEchoing: true },
  };
}

/** One line. JSON has no word for what has no end, and some limits have none. */
export function encodeSpec(spec: Spec): string {
  return serialize(spec).toString('base64');
}

export function decodeSpec(line: string): Spec {
  return deserialize(Buffer.from(line, 'base64')) as Spec;
}
