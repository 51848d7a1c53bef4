/*
 * postgraphile.js
 *   contact_block as GraphQL: PostGraphile 4 in front of the schema that
 *   roles.sql makes.
 *
 *   npm install postgraphile@4 jsonwebtoken@9
 *   DATABASE_URL=postgresql://authenticator:PASSWORD@localhost/app \
 *   JWT_SECRET=... PORT=5000 node postgraphile.js
 *
 * It listens on this machine only, like PostgREST.
 */
const http = require('http');
const jwt = require('jsonwebtoken');
const { postgraphile } = require('postgraphile');

/*
 * What PostgREST would set for the same token: the role, and the claims, of
 * which contact_block takes the actor. Without a token nothing is permitted.
 */
function settings(request) {
    const token = /^Bearer +(.+)$/i.exec(request.headers.authorization || '');
    let claims;

    if (!token) {
        return { role: 'web_anon' };
    }
    try {
        claims = jwt.verify(token[1], process.env.JWT_SECRET, { algorithms: ['HS256'] });
    } catch (e) {
        throw Object.assign(new Error('The token is not valid.'), { statusCode: 401 });
    }
    return {
        role: claims.role || 'web_anon',
        'request.jwt.claims': JSON.stringify(claims)
    };
}

http.createServer(postgraphile(process.env.DATABASE_URL, 'api', {
    pgSettings: settings,
    // documents as JSON, not as strings that hold it
    dynamicJson: true,
    // errors have the SQLSTATE and the DETAIL
    extendedErrors: ['errcode', 'detail'],
    bodySizeLimit: '16kB',
    disableQueryLog: true,
    graphiql: false
})).listen(process.env.PORT, '127.0.0.1');
