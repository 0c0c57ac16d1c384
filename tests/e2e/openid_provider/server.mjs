// A real OpenID provider (npm oidc-provider) with the people and the clients that CONFIGURATION names:
// {port, clients: [{id, secret, redirect_uri, post_logout_redirect_uri}],
//  people: {name: {password, email, email_verified, groups}}}
// A person signs in with name and password on a page without JavaScript. PKCE is required. Nothing is kept.
// Access tokens are opaque, but for a client that names a resource (RFC 8707): it gets a JWT with that audience.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { port, clients, people } = JSON.parse(process.env.CONFIGURATION);
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const escape = (text) => String(text).replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body{font:1rem/1.5 sans-serif;max-width:24rem;margin:4rem auto}input,button{display:block;width:100%;
box-sizing:border-box;margin:.5rem 0 1rem;padding:.5rem;font:inherit}</style><h1>${title}</h1>${body}`;

const provider = new Provider(`http://localhost:${port}`, {
  clients: clients.map((client) => ({
    client_id: client.id,
    client_secret: client.secret,
    redirect_uris: [client.redirect_uri],
    post_logout_redirect_uris: [client.post_logout_redirect_uri],
    token_endpoint_auth_method: 'client_secret_basic',
  })),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'tests', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  pkce: { required: () => true },
  scopes: ['openid', 'email', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  conformIdTokenClaims: false, // groups stand in the ID token
  findAccount: (ctx, name) => people[name] && {
    accountId: name,
    claims: () => ({
      sub: name,
      email: people[name].email,
      email_verified: people[name].email_verified,
      groups: people[name].groups,
    }),
  },
  // The client is the operator's own: nobody is asked whether it may know who they are.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email groups');
    await grant.save();
    return grant;
  },
  interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: '', audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        const button = '<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>';
        ctx.body = page('Sign out of Example SSO', form + button);
      },
    },
  },
  ttl: { Session: 3600, Interaction: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
});
provider.on('server_error', (ctx, error) => console.error(error));

const signInPage = (uid, wrong) => page('Sign in to Example SSO', `<form method="post" action="/sign-in/${escape(uid)}">
${wrong ? '<p>Name or password is wrong.</p>' : ''}
<label>Name<input name="name" autofocus></label><label>Password<input name="password" type="password"></label>
<button type="submit">Sign in</button></form><a href="/sign-in/${escape(uid)}/cancel">Cancel</a>`);

const read = async (request) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
};

const signIn = async (request, response) => {
  const { uid } = await provider.interactionDetails(request, response);
  if (request.url.endsWith('/cancel')) {
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  const form = request.method === 'POST' ? await read(request) : undefined;
  const name = form?.get('name');
  if (form && Object.hasOwn(people, name) && people[name].password === form.get('password')) {
    return provider.interactionFinished(request, response, { login: { accountId: name } });
  }
  response.setHeader('Content-Type', 'text/html');
  return response.end(signInPage(uid, form !== undefined));
};

const everythingElse = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/sign-in/')) return everythingElse(request, response);
  return signIn(request, response).catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end('The provider made a mistake.');
  });
}).listen(port, '127.0.0.1');
