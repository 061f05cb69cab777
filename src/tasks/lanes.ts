/** A lane: tasks that the same channels may serve, of one model, one list of groups, and, where they go over keys of their owner, one owner. */
export interface Lane {
  model: string;
  groups: readonly string[];
  /** Account whose own provider keys they go over; null for the operator's. */
  owner: string | null;
}

export function laneOf({ model, groups, owner }: Lane): string {
  return JSON.stringify([model, groups, owner]);
}

export function readLane(lane: string): Lane {
  const [model, groups, owner] = JSON.parse(lane) as [string, string[], string | null];
  return { model, groups, owner };
}
