/** /api/v1/provider-keys: keys of providers that an owner stores, so that its requests go over them (BYOK). Only ever shown masked. */
import { z } from 'zod';
import { type Principal, principalName } from '../../auth/principal.ts';
import type { Byok } from '../../chat/byok.ts';
import { vendorName } from '../../config/vendors.ts';
import { AppError } from '../../errors.ts';
import type { Owner, ProviderKeyInfo, Vault } from '../../vault.ts';
import { operation } from '../operation.ts';

export interface ProviderKeysOptions {
  vault: Vault;
  byok: Byok;
}

/** It goes into a header: no blanks, no line breaks. Shorter ones could not be kept out of texts, and are none. */
const KEY = /^[\x21-\x7e]{8,1024}$/;

const key = z
  .string('must be text')
  .regex(KEY, 'must be the key as the provider gave it: 8 to 1024 characters without blanks');

const storeBody = z
  .strictObject({
    provider: z.string('must be text').max(64, 'must be at most 64 characters'),
    key: key.optional(),
    /** Another word for `key`. */
    apiKey: key.optional(),
    label: z.string('must be text').max(64, 'must be at most 64 characters').default(''),
  })
  .refine((body) => (body.key === undefined) !== (body.apiKey === undefined), {
    path: ['key'],
    message: 'is needed, once: as key or as apiKey',
  });

const view = z.strictObject({
  id: z.string(),
  provider: z.string(),
  label: z.string(),
  /** The last characters of the key; never more. */
  last4: z.string(),
  masked: z.string(),
  /** `lost`: it cannot be opened any more, so store it again. */
  status: z.enum(['active', 'lost']),
  /** Whether this server has a channel to the provider; without one the key is kept and not used. */
  inUse: z.boolean(),
  createdAt: z.string(),
});

/** The key of the same provider that it took the place of; null where there was none. */
const storedView = view.extend({ replaces: z.string().nullable() });

export function storeProviderKey({ vault, byok }: ProviderKeysOptions) {
  return operation<z.infer<typeof storeBody>>({
    summary:
      'Store a key of a provider, in the place of the one before: requests for its models go over it',
    right: 'provider_keys',
    body: storeBody,
    answer: storedView,
    status: 201,
    mints: true,
    run: async ({ principal, body }) => {
      requireWhole(principal);
      const vendor = vendorName(body.provider);
      const vendors = byok.vendors();
      if (!vendors.includes(vendor)) throw unknownProvider(vendors);
      const wanted = { vendor, key: (body.key ?? body.apiKey)!, label: body.label.trim() };
      const stored = await vault.store(ownerOf(principal), wanted, principalName(principal));
      return { ...viewOf(stored, byok), replaces: stored.replaces };
    },
  });
}

export function listProviderKeys({ vault, byok }: ProviderKeysOptions) {
  return operation({
    summary: 'List stored keys of providers, masked',
    right: 'provider_keys',
    answer: z.strictObject({ object: z.literal('list'), data: z.array(view) }),
    run: async ({ principal: { accountId } }) => {
      const keys = accountId === null ? [] : await vault.list(accountId);
      return { object: 'list', data: keys.map((info) => viewOf(info, byok)) };
    },
  });
}

export function removeProviderKey({ vault }: ProviderKeysOptions) {
  return operation({
    summary: 'Remove a stored key of a provider for good',
    right: 'provider_keys',
    answer: null,
    status: 204,
    run: async ({ principal, params }) => {
      requireWhole(principal);
      const { accountId } = principal;
      await vault.remove(params['id'] ?? '', accountId ?? '', principalName(principal));
    },
  });
}

/** Whose key an account's requests go over sees them all, so a key that acts for less than the account does not decide it. */
function requireWhole(principal: Principal): void {
  if (principal.kind !== 'key' || !principal.isBound) return;
  throw new AppError(
    'forbidden',
    'This API key has limits of its own, and provider keys are for the whole account: use its wallet, or an ADMIN key without limits.',
  );
}

function ownerOf(principal: Principal): Owner {
  if (principal.kind === 'wallet') return { wallet: principal.wallet };
  return { accountId: principal.accountId };
}

function unknownProvider(vendors: string[]): AppError {
  const message = `must be one of ${vendors.join(', ')}`;
  return new AppError('invalid_request', `provider: ${message}.`, {
    details: { _errors: [], provider: { _errors: [message] } },
  });
}

function viewOf(info: ProviderKeyInfo, byok: Byok): z.infer<typeof view> {
  return {
    id: info.id,
    provider: info.vendor,
    label: info.label,
    last4: info.last4,
    masked: `…${info.last4}`,
    status: info.state,
    inUse: byok.isInUse(info.vendor),
    createdAt: new Date(info.created_at).toISOString(),
  };
}
