/** What a check found, and what mends it. */
export interface Finding {
  state: 'good' | 'warn' | 'bad';
  /** What was looked at: "upstream openai", "payments on eip155:8453". */
  subject: string;
  message: string;
  /** The setting or command that mends it; null where all is well. */
  mend: string | null;
}

export function good(subject: string, message: string): Finding {
  return { state: 'good', subject, message, mend: null };
}

export function warn(subject: string, message: string, mend: string): Finding {
  return { state: 'warn', subject, message, mend };
}

export function bad(subject: string, message: string, mend: string): Finding {
  return { state: 'bad', subject, message, mend };
}

/** One check must not hide what the others find. */
export async function found(
  subject: string,
  check: () => Promise<Finding | Finding[]>,
): Promise<Finding[]> {
  try {
    const findings = await check();
    return Array.isArray(findings) ? findings : [findings];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [bad(subject, `the check failed: ${message}`, 'run "farebox doctor" again')];
  }
}
