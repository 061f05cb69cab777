/** Something that the person at the keyboard can do something about; its message says what. */
export class WalletError extends Error {
  override readonly name = 'WalletError';
}
