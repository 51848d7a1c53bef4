/*
 * contact_block.js
 *   For nginx's njs module: the public paths of contacts, as calls of
 *   PostgREST's functions, and every error as problem details (RFC 9457).
 *
 * The request line is read as the caller sent it ($request_uri), not as nginx
 * normalized it: the id is one segment of it, decoded once, and leaves as a
 * JSON string. It never becomes a part of another path.
 */

/*
 * The paths and, by method, what is done there. Of a call: the function, the
 * parameters (from the request and what the path has in parentheses), and how
 * its success is answered. A path may fit several of them, which then share
 * its methods.
 */
const ROUTES = [
    {
        path: /^\/public\/v1\/notifications\/contacts\/block$/,
        methods: {
            POST: { call: 'contacts_block', parameters: ids_and_reason_of, answer: send_outcomes, changes: true }
        }
    },
    {
        path: /^\/public\/v1\/notifications\/contacts\/unblock$/,
        methods: {
            POST: { call: 'contacts_unblock', parameters: ids_of, answer: send_outcomes, changes: true }
        }
    },
    {
        path: /^\/public\/v1\/notifications\/contacts\/([^\/#]+)$/,
        methods: {
            GET: { call: 'contact_document', parameters: id_of, answer: send_document },
            HEAD: { call: 'contact_document', parameters: id_of, answer: send_document },
            DELETE: { call: 'contact_delete', parameters: id_of, answer: send_nothing, changes: true }
        }
    },
    {
        path: /^\/public\/v1\/notifications\/contacts\/([^\/#]+)\/block$/,
        methods: {
            POST: { call: 'contact_block', parameters: id_and_reason_of, answer: send_document, changes: true }
        }
    },
    {
        path: /^\/public\/v1\/notifications\/contacts\/([^\/#]+)\/unblock$/,
        methods: {
            POST: { call: 'contact_unblock', parameters: id_of, answer: send_document, changes: true }
        }
    },
    {
        // nginx sends these files, and asks here for their methods only
        path: /^\/public\/v1\/notifications\/(?:openapi\.yaml|contact\.schema\.json)$/,
        methods: { GET: undefined, HEAD: undefined }
    }
];

const TITLES = {
    400: 'Bad Request',
    401: 'Unauthorized',
    402: 'Payment Required',
    403: 'Forbidden',
    404: 'Not Found',
    405: 'Method Not Allowed',
    406: 'Not Acceptable',
    408: 'Request Timeout',
    409: 'Conflict',
    410: 'Gone',
    411: 'Length Required',
    412: 'Precondition Failed',
    413: 'Content Too Large',
    414: 'URI Too Long',
    415: 'Unsupported Media Type',
    416: 'Range Not Satisfiable',
    421: 'Misdirected Request',
    422: 'Unprocessable Content',
    423: 'Locked',
    424: 'Failed Dependency',
    428: 'Precondition Required',
    429: 'Too Many Requests',
    431: 'Request Header Fields Too Large',
    451: 'Unavailable For Legal Reasons',
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
    412: 'The contact does not meet the condition of the request. It was not carried out.',
    413: 'The request body is too large.',
    414: 'The path is too long.',
    429: 'There are too many requests.',
    431: 'The request header is too large.',
    500: 'The request failed.',
    501: 'The request uses something that is not supported.',
    502: 'The service did not answer. Whether the request was carried out is not known.',
    503: 'The service is not available at the moment.',
    504: 'The service did not answer in time. Whether the request was carried out is not known.',
    505: 'The version of HTTP is not supported.'
};

/*
 * What contact_block itself tells callers, by SQLSTATE and message, which are
 * constant; the SQLSTATE alone tells nothing, since a trigger of the user's
 * can raise the same one with a text that names tables or values. Without a
 * detail here the error's own is passed on.
 */
const OWN_ERRORS = {
    'PT404 contact not found': { status: 404 },
    'PT409 the contact\'s status does not allow this': { status: 409 },
    '22023 request.jwt.claims is not a JSON object': {
        status: 401,
        detail: 'PostgreSQL cannot read the claims of the token. A \\u0000 in one of them is a reason.'
    },
    '22023 no actor is set': {
        status: 401,
        detail: 'The token does not say who acts: its claim for that is missing or empty.'
    },
    '22023 the actor\'s claim in request.jwt.claims is not a string': {
        status: 401,
        detail: 'The token does not say who acts: its claim for that is neither a string nor a number.'
    },
    '22023 the actor does not fit the column that it is stored in': {
        status: 401,
        detail: 'The token\'s claim that says who acts is none of the ids that are used here.'
    }
};

/* What became of one contact of many, by the SQLSTATE in its row. */
const OUTCOMES = {
    '00000': { status: 200 },
    '22004': { status: 400, detail: 'The id is missing.' },
    '22023': { status: 400, detail: 'The id is empty.' },
    '42501': { status: 403, detail: 'The token does not permit this.' },
    'PT404': { status: 404, detail: 'There is no such contact.' },
    'PT409': { status: 409, detail: 'The status of the contact does not permit this.' },
    '55P03': { status: 503, detail: 'The contact was not changed, since somebody else is at it. Try again.' },
    '08001': { status: 503, detail: 'The contact was not changed, since its shard cannot be reached. Try again.' }
};

/* The most ids that one call may have. */
const MOST = 1000;

/* Throws what the caller is answered instead. */
function refuse(status, detail) {
    throw { status: status, detail: detail };
}

function send_problem(r, status, detail) {
    r.headersOut['Content-Type'] = 'application/problem+json';
    if (status == 401 && !r.headersOut['WWW-Authenticate']) {
        r.headersOut['WWW-Authenticate'] = 'Bearer';
    }
    if (status == 405) {
        r.headersOut['Allow'] = allowed_methods(r).join(', ');
    }
    r.return(status, JSON.stringify({
        type: 'about:blank',
        title: TITLES[status] || 'Error',
        status: status,
        detail: detail || DETAILS[status] || 'The request was refused.'
    }) + '\n');
}

/* The routes of the path that was asked for. */
function routes_of(r) {
    const path = r.variables.request_uri.split('?')[0];

    return ROUTES.filter(route => route.path.test(path));
}

function allowed_methods(r) {
    return routes_of(r).reduce((all, route) => all.concat(Object.keys(route.methods)), []);
}

/* An error that nginx itself found: where error_page leads. */
function problem(r) {
    send_problem(r, Number(r.variables.status));
}

/* The parameters of a call that takes an id, which is what the path has. */
function id_of(r, segment) {
    try {
        if (!/^[\x21-\x7e]+$/.test(segment)) {
            throw new Error();
        }
        return { id: decodeURIComponent(segment) };
    } catch (e) {
        refuse(400, 'The id in the path is not percent-encoded UTF-8.');
    }
}

/* The request's body as a JSON object; an empty one when there is none. */
function object_of(r) {
    let body = {};

    if (r.requestBuffer && r.requestBuffer.length > 0) {
        try {
            body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(r.requestBuffer));
        } catch (e) {
            refuse(400, 'The body is not valid JSON.');
        }
    }
    if (!is_object(body)) {
        refuse(400, 'The body is not a JSON object.');
    }
    return body;
}

/* Add the reason that is in the body, if there is one, to the parameters. */
function add_reason(parameters, body) {
    const reason = body.reason ?? body.blockedReason ?? null;

    if (reason !== null) {
        if (typeof reason != 'string') {
            refuse(400, 'The reason is not a string.');
        }
        if (reason.includes('\0')) {
            refuse(400, 'The reason contains U+0000.');
        }
        parameters.reason = reason;
    }
    return parameters;
}

function id_and_reason_of(r, segment) {
    return add_reason(id_of(r, segment), object_of(r));
}

/* The parameters of a call that takes many ids, which are in the body. */
function ids_of(r) {
    const ids = object_of(r).ids;

    if (!Array.isArray(ids) || !ids.every(id => typeof id == 'string' && !id.includes('\0'))) {
        refuse(400, 'The ids are not an array of strings without U+0000.');
    }
    if (ids.length > MOST) {
        refuse(400, 'There are more than ' + MOST + ' ids.');
    }
    return { ids: ids };
}

function ids_and_reason_of(r) {
    return add_reason(ids_of(r), object_of(r));
}

function is_object(value) {
    return typeof value == 'object' && value !== null && !Array.isArray(value);
}

/*
 * Refuse what depends on a state that cannot be (RFC 9110, 13.1). No contact
 * has an entity tag, so none matches; nor a date, so conditions on dates are to
 * be ignored; that there is such a contact is found out by the call.
 */
function check_conditions(r, changes) {
    const match = r.headersIn['If-Match'];

    if (match !== undefined && match != '*' || changes && r.headersIn['If-None-Match'] == '*') {
        refuse(412);
    }
}

/*
 * nginx would test the conditions once more, when an answer with status 200
 * leaves, and knows neither that the call has been made nor what is to be
 * ignored. So a success leaves njs with this status, and gets its own when that
 * filter has let it pass.
 */
const PASSED = 299;

function header_filter(r) {
    if (r.status == PASSED) {
        r.status = 200;
    }
}

/* What PostgREST answered as JSON; undefined when nginx got a part of it only. */
function parsed(reply) {
    try {
        return JSON.parse(reply.responseText);
    } catch (e) {
        return undefined;
    }
}

function send_no_answer(r) {
    r.error('PostgREST\'s answer is not what was asked for, or was cut off');
    send_problem(r, 502);
}

/* How a success is answered. */
function send_document(r, reply) {
    if (!is_object(parsed(reply))) {
        send_no_answer(r);
    } else if (r.headersIn['If-None-Match'] == '*') {
        r.return(304);
    } else {
        r.headersOut['Content-Type'] = 'application/json';
        r.return(PASSED, Buffer.concat([reply.responseBuffer, Buffer.from('\n')]));
    }
}

function send_outcomes(r, reply) {
    const rows = parsed(reply);

    if (!Array.isArray(rows)) {
        send_no_answer(r);
        return;
    }
    r.headersOut['Content-Type'] = 'application/json';
    r.return(PASSED, JSON.stringify(rows.map(row => {
        const outcome = OUTCOMES[row.code] || { status: 500, detail: DETAILS[500] };

        return {
            id: row.id,
            status: outcome.status,
            contactStatus: row.status,
            changed: row.changed,
            detail: outcome.detail
        };
    })) + '\n');
}

function send_nothing(r) {
    r.return(204);
}

/* PostgREST may give an error any status, also that of a success. */
function is_success(reply) {
    return reply.status >= 200 && reply.status < 300 &&
        !/;\s*error=/.test(reply.headersOut['Proxy-Status'] || '');
}

/*
 * The status of an error that is not contact_block's own. What is no fault of
 * the caller's is 5xx, whatever PostgREST makes of it: a 404, for instance,
 * means that the function or a table is not there.
 */
function status_of(reply, code, message) {
    // what a router says, see doc/sharding.md: in the middle, too
    if (code == '08006' && message == 'the connection to the contact\'s shard was lost') {
        return 502;
    }
    switch (code) {
    case '':                    // the connection to PostgreSQL broke in the middle
        return 502;
    case '42501':
        return reply.status == 401 ? 401 : 403;
    case '55P03':               // lock_timeout
    case '57014':               // statement_timeout
        return 504;
    }
    if (reply.status == 401 || [502, 503, 504].includes(reply.status)) {
        return reply.status;
    }
    // RAISE in a trigger of the user's, with SQLSTATE PT4xx or PGRST; by the
    // latter the code is free
    if (reply.status >= 400 && reply.status < 500 && code !== undefined &&
        (code == 'PT' + reply.status || !/^([0-9A-Z]{5}|PGRST\d+)$/.test(code))) {
        return reply.status;
    }
    return 500;
}

/* Answer what is no success. */
function send_error(r, reply) {
    // without a code it is not PostgREST's, or was cut off
    const error = parsed(reply) || {};

    const own = OWN_ERRORS[error.code + ' ' + error.message];
    if (own) {
        send_problem(r, own.status, own.detail || error.details);
        return;
    }

    const status = status_of(reply, error.code, error.message);
    let detail;

    if (status == 401) {
        r.headersOut['WWW-Authenticate'] = reply.headersOut['WWW-Authenticate'] || 'Bearer';
        // PGRST3xx is about the token: that it has expired, for instance
        detail = /^PGRST3/.test(error.code) ? error.message : undefined;
    } else if (status == 504 && error.code !== undefined) {
        detail = 'The request took too long. It was not carried out.';
    }
    if (status >= 500) {
        r.error('PostgREST answered ' + reply.status + ' ' +
                JSON.stringify({ code: error.code, message: error.message }));
    }
    // PostgREST's own is always 0, which would have callers come back at once
    if (Number(reply.headersOut['Retry-After']) > 0) {
        r.headersOut['Retry-After'] = reply.headersOut['Retry-After'];
    }
    send_problem(r, status, detail);
}

/* Every request. */
async function handle(r) {
    const routes = routes_of(r);
    const route = routes.find(route => route.methods[r.method]);

    if (!route) {
        send_problem(r, routes.length == 0 ? 404 : 405);
        return;
    }

    const method = route.methods[r.method];
    let parameters;

    try {
        parameters = method.parameters(r, route.path.exec(r.variables.request_uri.split('?')[0])[1]);
        check_conditions(r, method.changes);
    } catch (refused) {
        if (!refused.status) {
            throw refused;
        }
        send_problem(r, refused.status, refused.detail);
        return;
    }

    const reply = await r.subrequest('/_postgrest/rpc/' + method.call,
                                     { method: 'POST', body: JSON.stringify(parameters) });

    if (is_success(reply)) {
        method.answer(r, reply);
    } else {
        send_error(r, reply);
    }
}

export default { handle, header_filter, problem };
