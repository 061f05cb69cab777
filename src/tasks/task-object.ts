/** A task as `GET /v1/tasks/{id}` and webhooks say it (contract §3). */
import { formatUsd, type NanoUsd } from '../money.ts';
import type { Task } from './task.ts';

export function taskObject(task: Task, creditUsd: number): Record<string, unknown> {
  const { id, kind, assets, error } = task;
  return {
    task_id: id,
    id,
    object: `gateway.${kind}.task`,
    status: task.state,
    model: task.model,
    created_at: seconds(task.createdAt),
    started_at: seconds(task.startedAt),
    completed_at: seconds(task.endedAt),
    progress: task.progress,
    queue_position: task.queuePosition,
    estimated_seconds_left: task.estimatedSecondsLeft,
    credits_held: task.endedAt === null ? credits(task.held, creditUsd) : 0,
    credits_charged: credits(task.charged, creditUsd),
    charged_usd: formatUsd(task.charged),
    result: task.state === 'completed' ? { url: assets[0]?.url ?? null, data: assets } : null,
    error: error && { message: error.message, type: 'gateway_error', code: error.code },
    request_id: task.requestId,
    ...(task.callbackUrl !== null && { callback_url: task.callbackUrl }),
  };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1_000);
}

/** A JSON number for people and budgets; what is exact is `charged_usd`. */
function credits(amount: NanoUsd, creditUsd: number): number {
  return creditUsd > 0 ? Number((amount / creditUsd).toFixed(6)) : 0;
}
