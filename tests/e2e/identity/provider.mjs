// A certified OpenID provider on loopback for the tests: node provider.mjs MODULES PORT CALLBACK LOGOUT. Accounts are whoever signs in;
// `GROUPS` (JSON, account to groups) comes from the environment. Its development pages stand in for a login form.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, callback, logout] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const groups = JSON.parse(process.env.GROUPS ?? '{}');

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'stagewarden', client_secret: 'a secret, with: signs', redirect_uris: [callback], response_types: ['code'],
    grant_types: ['authorization_code'], backchannel_logout_uri: logout, backchannel_logout_session_required: true,
  }],
  claims: { openid: ['sub'], groups: ['groups'], auth_time: null, acr: null },
  scopes: ['openid', 'groups'],
  acrValues: ['urn:example:strong'],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, groups: groups[sub] ?? [] }) }),
  cookies: { keys: ['for tests'] },
  // Its own guard against private addresses would keep the back channel from reaching a test on loopback.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
});
for (const event of ['backchannel.error', 'backchannel.success']) {
  provider.on(event, (ctx, error) => console.log(event, error?.message ?? '', error?.cause?.message ?? ''));
}
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
