/** What is open at once, counted over every reload: a stream ends where it began, and its place is free again only then. */
import { Streams } from './tasks/streams.ts';

export class OpenNow {
  /** Of events of tasks, by caller. */
  readonly streams = new Streams();
  /** Pages of the operator's with live figures. */
  pages = 0;
  /** Runs of the playground that are looked at. */
  runs = 0;
  /** Results that are being read, by address. */
  readonly downloads = { all: 0, by: new Map<string, number>() };
}
