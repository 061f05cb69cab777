import type { Operation } from '../operation.ts';
import { listAllDeliveries, redeliverOne, type WebhookAdminOptions } from './admin.ts';
import {
  getWebhookSecret,
  listDeliveries,
  redeliver,
  rotateWebhookSecret,
  type WebhookRouteOptions,
} from './owner.ts';

export type WebhookOptions = WebhookRouteOptions & WebhookAdminOptions;
type WebhookRoute = ['get' | 'post', path: string, Operation];

export function webhookRoutes(options: WebhookOptions): WebhookRoute[] {
  return [
    ['get', '/v1/webhooks/secret', getWebhookSecret(options)],
    ['post', '/v1/webhooks/secret/rotate', rotateWebhookSecret(options)],
    ['get', '/v1/webhooks/deliveries', listDeliveries(options)],
    ['post', '/v1/tasks/:id/redeliver', redeliver(options)],

    ['get', '/admin/api/webhooks', listAllDeliveries(options)],
    ['post', '/admin/api/webhooks/:id/redeliver', redeliverOne(options)],
  ];
}
