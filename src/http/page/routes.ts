/** Every URL of the operator's site. */
import type { Step } from '../in-turn.ts';
import { asset } from './assets.ts';
import { overview, type OverviewOptions } from './overview.ts';
import { page } from './page.ts';
import {
  runSelfTest,
  saveSetup,
  type SelfTestOptions,
  selfTestPage,
  setupPage,
  type SetupPageOptions,
} from './setup.ts';
import { claim, claimPage, logIn, loginPage, logOut, type SignInOptions } from './sign-in.ts';

export type SiteOptions = SignInOptions & OverviewOptions & SetupPageOptions & SelfTestOptions;

export type SiteRoute = ['get' | 'post', path: string, Step];

export function siteRoutes(options: SiteOptions): SiteRoute[] {
  return [
    ['get', '/admin/assets/:name', asset],
    ['get', '/admin/login', loginPage(options)],
    ['post', '/admin/login', logIn(options)],
    ['post', '/admin/logout', logOut(options)],
    ['get', '/admin/claim/:code', claimPage(options)],
    ['post', '/admin/claim/:code', claim(options)],
    ['get', '/admin', page(options, overview(options))],
    ['get', '/admin/setup', setupPage(options)],
    ['post', '/admin/setup', saveSetup(options)],
    ['get', '/admin/self-test', selfTestPage(options)],
    ['post', '/admin/self-test', runSelfTest(options)],
  ];
}
