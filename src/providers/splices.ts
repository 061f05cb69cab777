/** Changes to the top level of a JSON object in its bytes: whatever is not changed stays byte for byte. */
import type { MemberRange } from './json-members.ts';

const OPEN_BRACE = 0x7b;

export class Splices {
  readonly #text: Buffer;
  readonly #members: Map<string, MemberRange>;
  readonly #start: number;
  readonly #end: number;
  readonly #values = new Map<string, string>();
  readonly #removed = new Set<string>();

  /** `text[start, end)` is the object that `members` (in their order in the text) were read from. */
  constructor(text: Buffer, members: Map<string, MemberRange>, start = 0, end = text.length) {
    this.#text = text;
    this.#members = members;
    this.#start = start;
    this.#end = end;
  }

  /** `json` is the value's JSON text; the member is put first where there is none. */
  setValue(name: string, json: string): void {
    this.#values.set(name, json);
  }

  remove(name: string): void {
    if (this.#members.has(name)) this.#removed.add(name);
  }

  apply(): Buffer {
    if (!this.#values.size && !this.#removed.size) {
      return this.#text.subarray(this.#start, this.#end);
    }
    const text = this.#text;
    let at = text.indexOf(OPEN_BRACE, this.#start) + 1;
    const pieces = [text.subarray(this.#start, at), Buffer.from(this.#inserted())];
    const ranges = [...this.#members.values()];
    let isFirst = true;
    let index = -1;
    for (const name of this.#members.keys()) {
      const [, value, end] = ranges[++index]!;
      if (this.#removed.has(name)) {
        // A comma goes with it: the one before, or behind it where nothing stays before.
        if (!isFirst) pieces.push(text.subarray(at, ranges[index - 1]![2]));
        at = isFirst ? (ranges[index + 1]?.[0] ?? end) : end;
        continue;
      }
      isFirst = false;
      const json = this.#values.get(name);
      if (json === undefined) continue;
      pieces.push(text.subarray(at, value), Buffer.from(json));
      at = end;
    }
    pieces.push(text.subarray(at, this.#end));
    return Buffer.concat(pieces);
  }

  #inserted(): string {
    let text = '';
    for (const [name, json] of this.#values) {
      if (!this.#members.has(name)) text += `${JSON.stringify(name)}:${json},`;
    }
    const staysAny = this.#members.size > this.#removed.size;
    return staysAny ? text : text.slice(0, -1);
  }
}
