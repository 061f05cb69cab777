/** What callbacks are told of a task, at least once, as Standard Webhooks v1. */
import type { DeliveryRow } from '../db/tables.ts';
import type { WriteTx } from '../ledger/ledger.ts';

export interface NewDelivery {
  accountId: string;
  taskId: string;
  url: string;
  /** "task.completed"; one of each for a task. */
  event: string;
  /** The task as GET /v1/tasks/{id} shows it. */
  payload: Record<string, unknown>;
}

export interface Webhooks {
  /** The URL as it is kept. Throws invalid_request, field `callback_url`: see callback.ts. */
  requireCallback(url: unknown): string;
  /** In the transaction that ends the task; the same event a second time changes nothing. */
  enqueue(tx: WriteTx, delivery: NewDelivery): Promise<void>;
  /** After that transaction: delivers at once what would otherwise wait for the next look. */
  wake(): void;
  /** Sends a task's events once more, under the same id. Throws not_found where it has none. */
  redeliver(accountId: string, taskId: string): Promise<DeliveryRow[]>;
}
