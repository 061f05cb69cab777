/** Every URL of the operator's site. */
import type { AdminOptions } from '../admin/options.ts';
import type { Step } from '../in-turn.ts';
import type { Webhooks } from '../../webhooks/webhooks.ts';
import { accountActions, accountPage } from './account.ts';
import { accountsPage, openAccount } from './accounts.ts';
import { asset } from './assets.ts';
import { channelsPage, testChannel, turnChannel } from './channels.ts';
import { keyActions, keyPage, keysPage, makeKey } from './keys.ts';
import { live, type LiveOptions } from './live.ts';
import { logPage } from './log.ts';
import { estimateForm, modelsPage, type ModelsOptions } from './models.ts';
import { overview, type OverviewOptions } from './overview.ts';
import { page } from './page.ts';
import { paymentPage, paymentsPage, recheck } from './payments.ts';
import { playgroundPage, type RunPageOptions, startRun } from './playground.ts';
import { runLive, runResult } from './playground-live.ts';
import { runPage } from './playground-run.ts';
import { payoutActions, payoutPage, payoutsPage } from './payouts.ts';
import {
  runSelfTest,
  saveSetup,
  type SelfTestOptions,
  selfTestPage,
  setupPage,
  type SetupPageOptions,
} from './setup.ts';
import { reloadSettings, settingsPage } from './settings.ts';
import { claim, claimPage, logIn, loginPage, logOut, type SignInOptions } from './sign-in.ts';
import { cancelTask, taskPage, tasksPage, type TasksPageOptions } from './tasks.ts';
import { usageCsv, usagePage } from './usage.ts';
import { redeliver, webhooksPage } from './webhooks.ts';

export type SiteOptions = SignInOptions &
  OverviewOptions &
  SetupPageOptions &
  SelfTestOptions &
  AdminOptions &
  ModelsOptions &
  LiveOptions &
  RunPageOptions &
  TasksPageOptions & { webhooks: Webhooks };

export type SiteRoute = ['get' | 'post', path: string, Step];

export function siteRoutes(options: SiteOptions): SiteRoute[] {
  const account = accountActions(options);
  const key = keyActions(options);
  const payout = payoutActions(options);
  return [
    ['get', '/admin/assets/:name', asset],
    ['get', '/admin/login', loginPage(options)],
    ['post', '/admin/login', logIn(options)],
    ['post', '/admin/logout', logOut(options)],
    ['get', '/admin/claim/:code', claimPage(options)],
    ['post', '/admin/claim/:code', claim(options)],
    ['get', '/admin', page(options, overview(options))],
    ['get', '/admin/live', live(options)],

    ['get', '/admin/accounts', page(options, accountsPage(options))],
    ['post', '/admin/accounts', openAccount(options)],
    ['get', '/admin/accounts/:id', page(options, accountPage(options))],
    ['post', '/admin/accounts/:id', account.change],
    ['post', '/admin/accounts/:id/grants', account.grant],
    ['post', '/admin/accounts/:id/adjustments', account.adjust],
    ['post', '/admin/accounts/:id/adjustments/:adjustment/reverse', account.reverse],
    ['post', '/admin/accounts/:id/payouts', account.payOut],

    ['get', '/admin/keys', page(options, keysPage(options))],
    ['post', '/admin/keys', makeKey(options)],
    ['get', '/admin/keys/:id', page(options, keyPage(options))],
    ['post', '/admin/keys/:id', key.change],
    ['post', '/admin/keys/:id/revoke', key.revoke],

    ['get', '/admin/payments', page(options, paymentsPage(options))],
    ['get', '/admin/payments/:id', page(options, paymentPage(options))],
    ['post', '/admin/payments/:id/recheck', recheck(options)],

    ['get', '/admin/payouts', page(options, payoutsPage(options))],
    ['get', '/admin/payouts/:id', page(options, payoutPage(options))],
    ['post', '/admin/payouts/:id/approve', payout.approve],
    ['post', '/admin/payouts/:id/sent', payout.sent],
    ['post', '/admin/payouts/:id/cancel', payout.cancel],

    ['get', '/admin/models', page(options, modelsPage(options))],
    ['post', '/admin/models/estimate', estimateForm(options)],

    ['get', '/admin/channels', page(options, channelsPage(options))],
    ['post', '/admin/channels/:id', turnChannel(options)],
    ['post', '/admin/channels/:id/test', testChannel(options)],

    ['get', '/admin/playground', page(options, playgroundPage(options))],
    ['post', '/admin/playground', startRun(options)],
    ['get', '/admin/playground/runs/:id', page(options, runPage(options))],
    ['get', '/admin/playground/runs/:id/live', runLive(options)],
    ['get', '/admin/playground/runs/:id/results/:place', runResult(options)],

    ['get', '/admin/tasks', page(options, tasksPage(options))],
    ['get', '/admin/tasks/:id', page(options, taskPage(options))],
    ['post', '/admin/tasks/:id/cancel', cancelTask(options)],

    ['get', '/admin/webhooks', page(options, webhooksPage(options))],
    ['post', '/admin/webhooks/:id/redeliver', redeliver(options)],

    ['get', '/admin/usage', page(options, usagePage(options))],
    ['get', '/admin/usage.csv', usageCsv(options)],

    ['get', '/admin/log', page(options, logPage(options))],

    ['get', '/admin/setup', setupPage(options)],
    ['post', '/admin/setup', saveSetup(options)],
    ['get', '/admin/settings', settingsPage(options)],
    ['post', '/admin/settings/reload', reloadSettings(options)],
    ['get', '/admin/self-test', selfTestPage(options)],
    ['post', '/admin/self-test', runSelfTest(options)],
  ];
}
