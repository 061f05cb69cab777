/** The directory that everything is kept in. */
import { access, constants, mkdir } from 'node:fs/promises';

/** Makes it where it is missing, for its owner alone. Throws where it cannot be written, and says what would be right. */
export async function openDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `DATA_DIR: ${dataDir} must be a directory that this user may write (${code}): give it to this user, or set another one.`,
      { cause: error },
    );
  }
}
