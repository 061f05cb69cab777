/** One run of the playground, and what became of it so far. */
import {
  type Exchange,
  type Figures,
  MAX_EXCHANGES,
  MAX_RESULTS,
  MAX_TEXT_CHARS,
  type Result,
  RESULT_NAME,
  type RunEvent,
  type Wanted,
} from './protocol.ts';

export interface Run {
  id: string;
  /** The session that asked for it, and alone may see it. */
  owner: string;
  wanted: Wanted;
  startedAt: number;
  endedAt: number | null;
  state: 'starting' | 'running' | 'done' | 'failed';
  error: string | null;
  text: string;
  exchanges: Exchange[];
  figures: Partial<Figures>;
  results: Result[];
  /** Where its results lie; null before and after. */
  directory: string | null;
}

export function isOver({ state }: Run): boolean {
  return state === 'done' || state === 'failed';
}

export function take(run: Run, event: RunEvent, nowMs: number): void {
  if (isOver(run)) return;
  run.state = 'running';
  switch (event.type) {
    case 'exchange':
      if (run.exchanges.length < MAX_EXCHANGES) run.exchanges.push(event.exchange);
      return;
    case 'text':
      run.text = (run.text + event.text).slice(0, MAX_TEXT_CHARS);
      return;
    case 'figures':
      Object.assign(run.figures, event.figures);
      return;
    case 'result':
      // Its name becomes a path.
      if (run.results.length < MAX_RESULTS && RESULT_NAME.test(event.result.name)) {
        run.results.push(event.result);
      }
      return;
    case 'end':
      end(run, event.error, nowMs);
  }
}

/** `error`: null where it is whole. */
export function end(run: Run, error: string | null, nowMs: number): void {
  if (isOver(run)) return;
  run.state = error === null ? 'done' : 'failed';
  run.error = error;
  run.endedAt = nowMs;
}
