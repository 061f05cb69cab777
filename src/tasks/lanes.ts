/** A lane: tasks of one model for one list of groups, which the same channels may serve. */
export function laneOf(model: string, groups: readonly string[]): string {
  return JSON.stringify([model, ...groups]);
}

export function groupsOfLane(lane: string): string[] {
  return (JSON.parse(lane) as string[]).slice(1);
}

export function modelOfLane(lane: string): string {
  return (JSON.parse(lane) as string[])[0] ?? '';
}
