/*
 * contact_block.js
 *   For nginx's njs module: the public paths of contacts, as calls of
 *   PostgREST's functions, and every error as problem details (RFC 9457).
 *
 * The request line is read as the caller sent it ($request_uri), not as nginx
 * normalized it: the id is one segment of it, decoded once, and leaves as a
 * JSON string. It never becomes a part of another path.
 */

const PATH = /^\/public\/v1\/notifications\/contacts\/([^\/?#]+)(\/block|\/unblock|)(?:\?.*)?$/;

/* What follows the id, the method, and the function that is called. */
const ROUTES = {
    '': { GET: 'contact_document', HEAD: 'contact_document', DELETE: 'contact_delete' },
    '/block': { POST: 'contact_block' },
    '/unblock': { POST: 'contact_unblock' }
};

const TITLES = {
    400: 'Bad Request',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'Not Found',
    405: 'Method Not Allowed',
    408: 'Request Timeout',
    409: 'Conflict',
    411: 'Length Required',
    413: 'Content Too Large',
    414: 'URI Too Long',
    431: 'Request Header Fields Too Large',
    500: 'Internal Server Error',
    501: 'Not Implemented',
    502: 'Bad Gateway',
    503: 'Service Unavailable',
    504: 'Gateway Timeout',
    505: 'HTTP Version Not Supported'
};

/* The detail where there is nothing more exact, or nothing more to tell. */
const DETAILS = {
    400: 'The request is malformed.',
    401: 'A valid token is required.',
    403: 'The token does not permit this.',
    404: 'There is no such resource.',
    405: 'The resource does not have this method.',
    408: 'The request did not arrive in time.',
    409: 'The state of the contact does not permit this.',
    411: 'The length of the request body is missing.',
    413: 'The request body is too large.',
    414: 'The path is too long.',
    431: 'The request header is too large.',
    500: 'The request failed.',
    501: 'The request uses something that is not supported.',
    502: 'The service did not answer. Whether the request was carried out is not known.',
    503: 'The service is not available at the moment.',
    504: 'The service did not answer in time. Whether the request was carried out is not known.',
    505: 'The version of HTTP is not supported.'
};

/*
 * Errors whose text is written for callers: SQLSTATEs that contact_block
 * raises, with the HTTP status that belongs to them. The text of any other
 * error may name tables, columns or values and is not passed on.
 */
const OWN_ERRORS = { '22004': 400, '22023': 400, 'PT404': 404, 'PT409': 409 };

function send_problem(r, status, detail) {
    r.headersOut['Content-Type'] = 'application/problem+json';
    r.return(status, JSON.stringify({
        type: 'about:blank',
        title: TITLES[status] || 'Error',
        status: status,
        detail: detail || DETAILS[status] || 'The request was refused.'
    }));
}

/* The methods of the path that was asked for, none when there is no such path. */
function allowed_methods(r) {
    const match = PATH.exec(r.variables.request_uri || '');

    return match ? Object.keys(ROUTES[match[2]]) : [];
}

/* An error that nginx itself found: where error_page leads. */
function problem(r) {
    const status = Number(r.variables.status);
    const methods = allowed_methods(r);

    if (status == 405 && methods.length > 0) {
        r.headersOut['Allow'] = methods.join(', ');
    }
    send_problem(r, status);
}

/*
 * The reason in the body of a block: a string, or null when there is none.
 * Throws an Error whose message is for the caller.
 */
function reason_of(r) {
    let body = null;

    if (!r.requestBuffer || r.requestBuffer.length == 0) {
        return null;
    }
    try {
        body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(r.requestBuffer));
    } catch (e) {
        throw new Error('The body is not valid JSON.');
    }
    if (typeof body != 'object' || body === null || Array.isArray(body)) {
        throw new Error('The body is not a JSON object.');
    }

    const reason = body.reason ?? body.blockedReason ?? null;
    if (reason !== null && typeof reason != 'string') {
        throw new Error('The reason is not a string.');
    }
    return reason;
}

/* Answer what PostgREST did not answer with 200. */
function send_error(r, reply) {
    let error = {};

    try {
        error = JSON.parse(reply.responseText) || {};
    } catch (e) {
        // not PostgREST's, or cut off
    }

    if (OWN_ERRORS[error.code] == reply.status) {
        send_problem(r, reply.status, error.details || error.message);
        return;
    }
    switch (reply.status) {
    case 401:
        r.headersOut['WWW-Authenticate'] = reply.headersOut['WWW-Authenticate'] || 'Bearer';
        // PGRST3xx is about the token: that it has expired, for instance
        send_problem(r, 401, /^PGRST3/.test(error.code) ? error.message : undefined);
        return;
    case 400:
    case 403:
    case 409:
        send_problem(r, reply.status);
        return;
    }

    // The rest is no fault of the caller's: also a 404 that does not come from
    // contact_block, which means that the function or a table is not there.
    r.error('PostgREST answered ' + reply.status + ' ' +
            JSON.stringify({ code: error.code, message: error.message }));
    if (reply.status == 503 && reply.headersOut['Retry-After']) {
        r.headersOut['Retry-After'] = reply.headersOut['Retry-After'];
    }
    send_problem(r, [502, 503, 504].includes(reply.status) ? reply.status : 500);
}

/* Is this the whole of a document? nginx tells njs nothing about a cut one. */
function is_whole(text) {
    try {
        JSON.parse(text);
        return true;
    } catch (e) {
        return false;
    }
}

/* Every request. */
async function handle(r) {
    const match = PATH.exec(r.variables.request_uri);
    const parameters = {};

    if (!match) {
        send_problem(r, 404);
        return;
    }

    const name = ROUTES[match[2]][r.method];
    if (!name) {
        r.headersOut['Allow'] = allowed_methods(r).join(', ');
        send_problem(r, 405);
        return;
    }

    try {
        if (!/^[\x21-\x7e]+$/.test(match[1])) {
            throw new Error();
        }
        parameters.id = decodeURIComponent(match[1]);
    } catch (e) {
        send_problem(r, 400, 'The id in the path is not percent-encoded UTF-8.');
        return;
    }

    if (match[2] == '/block') {
        try {
            const reason = reason_of(r);

            if (reason !== null) {
                parameters.reason = reason;
            }
        } catch (e) {
            send_problem(r, 400, e.message);
            return;
        }
    }

    const reply = await r.subrequest('/_postgrest/rpc/' + name,
                                     { method: 'POST', body: JSON.stringify(parameters) });

    if (reply.status != 200) {
        send_error(r, reply);
    } else if (r.method == 'DELETE') {
        r.return(204);
    } else if (!is_whole(reply.responseText)) {
        r.error('PostgREST\'s answer is not JSON or was cut off');
        send_problem(r, 502);
    } else {
        r.headersOut['Content-Type'] = 'application/json';
        r.return(200, reply.responseBuffer);
    }
}

export default { handle, problem };
