/**
 * What answers requests: routes and the steps before them, over settings that never change. A reload makes another one; requests that are
 * under way end where they began.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import Koa from 'koa';
import type { ServerConfig } from '../config/config.ts';
import { cors } from './cors.ts';
import { type Door, throughItsDoor } from './doors.ts';
import { inTurn, type Step } from './in-turn.ts';
import type { State } from './request.ts';
import {
  createRouter,
  methodNotAllowed,
  straight,
  type RouteEntry,
  type RouterOptions,
} from './router.ts';
import { boundary } from './steps.ts';
import { withSpans } from './traced.ts';

export interface FrontOptions extends Omit<RouterOptions, 'server'> {
  server: ServerConfig;
}

export interface Front {
  /** Every route, with who may call it. */
  routes: readonly RouteEntry[];
  pages: readonly Pick<RouteEntry, 'method' | 'path'>[];
  /** Resolves when the request is over; rejects where it could not even be refused. */
  answer(request: IncomingMessage, response: ServerResponse, door: Door): Promise<void>;
}

export function createFront(options: FrontOptions): Front {
  const { server } = options;
  const app = new Koa<State>();
  const { router, table, pages, shops } = createRouter(options);
  const steps = withSpans(
    inTurn([
      boundary(options),
      throughItsDoor(server.adminListen !== null, cors(server.corsOrigins)),
      straight(shops),
      methodNotAllowed(router),
      router.routes() as Step,
    ]),
  );
  return {
    routes: table,
    pages,
    answer: async (request, response, door) => {
      const ctx = app.createContext(request, response);
      ctx.state.door = door;
      await steps(ctx, ended);
    },
  };
}

const ended = (): Promise<void> => Promise.resolve();
