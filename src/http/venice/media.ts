/** Everything that Venice's dialect makes by tasks: images in one request, video and audio through queues. */
import type { Step } from '../in-turn.ts';
import type { Operation } from '../operation.ts';
import { imageShops, imageStyles, type VeniceImageOptions } from './images.ts';
import { type QueueOptions, queueRoutes, queueShops } from './queue.ts';

export type VeniceMediaOptions = VeniceImageOptions & QueueOptions;

export function veniceShops(options: VeniceMediaOptions): [path: string, paid: Step, make: Step][] {
  return [...imageShops(options), ...queueShops(options)];
}

type Route = ['get' | 'post', path: string, Operation];

export function veniceMediaRoutes(options: VeniceMediaOptions): Route[] {
  return [['get', '/api/v1/image/styles', imageStyles(options)], ...queueRoutes(options)];
}
