/** Every URL of the operator's API. */
import type { Operation } from '../operation.ts';
import {
  createAccount,
  getAccount,
  listAccounts,
  listEntries,
  listHolds,
  updateAccount,
} from './accounts.ts';
import { accountUsage } from './account-usage.ts';
import { listChanges } from './audit.ts';
import { channelCosts } from './channel-costs.ts';
import { listChannels, switchChannel } from './channels.ts';
import { adjustCredit, grantCredit, listAdjustments, reverseAdjustment } from './credit.ts';
import { createAnyKey, getAnyKey, listAllKeys, revokeAnyKey, updateAnyKey } from './keys.ts';
import type { AdminOptions } from './options.ts';
import { getPayment, listPayments } from './payments.ts';
import {
  approvePayout,
  cancelPayout,
  getPayout,
  listPayouts,
  makePayout,
  markPayoutSent,
} from './payouts.ts';

export type AdminRoute = ['get' | 'post' | 'patch' | 'delete', path: string, Operation];

export function adminRoutes(options: AdminOptions): AdminRoute[] {
  return [
    ['get', '/admin/api/accounts', listAccounts(options)],
    ['post', '/admin/api/accounts', createAccount(options)],
    ['get', '/admin/api/accounts/:id', getAccount(options)],
    ['patch', '/admin/api/accounts/:id', updateAccount(options)],
    ['get', '/admin/api/accounts/:id/entries', listEntries(options)],
    ['get', '/admin/api/accounts/:id/holds', listHolds(options)],
    ['get', '/admin/api/accounts/:id/usage', accountUsage(options)],
    ['post', '/admin/api/accounts/:id/grants', grantCredit(options)],
    ['get', '/admin/api/accounts/:id/adjustments', listAdjustments(options)],
    ['post', '/admin/api/accounts/:id/adjustments', adjustCredit(options)],
    ['post', '/admin/api/accounts/:id/adjustments/:adjustment/reverse', reverseAdjustment(options)],
    ['post', '/admin/api/accounts/:id/payouts', makePayout(options)],

    ['get', '/admin/api/keys', listAllKeys(options)],
    ['post', '/admin/api/keys', createAnyKey(options)],
    ['get', '/admin/api/keys/:id', getAnyKey(options)],
    ['patch', '/admin/api/keys/:id', updateAnyKey(options)],
    ['delete', '/admin/api/keys/:id', revokeAnyKey(options)],

    ['get', '/admin/api/channels', listChannels(options)],
    ['patch', '/admin/api/channels/:id', switchChannel(options)],
    ['get', '/admin/api/channels/:id/costs', channelCosts(options)],

    ['get', '/admin/api/payments', listPayments(options)],
    ['get', '/admin/api/payments/:id', getPayment(options)],

    ['get', '/admin/api/payouts', listPayouts(options)],
    ['get', '/admin/api/payouts/:id', getPayout(options)],
    ['post', '/admin/api/payouts/:id/approve', approvePayout(options)],
    ['post', '/admin/api/payouts/:id/sent', markPayoutSent(options)],
    ['post', '/admin/api/payouts/:id/cancel', cancelPayout(options)],

    ['get', '/admin/api/audit', listChanges(options)],
  ];
}
