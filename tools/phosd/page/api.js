/*
 * api - asks the collector. The key lives in this module's variable and
 * nowhere else: no storage, no address, no cookie. Reloading forgets it.
 */

let key = null;

export class Failure extends Error {
    constructor(status, text) {
        super(text);
        this.status = status; /* 0: no answer */
    }
}

export function setKey(text) {
    key = text;
}

export function hasKey() {
    return key !== null;
}

function address(path, parameters) {
    const query = new URLSearchParams();

    for (const [name, value] of Object.entries(parameters || {}))
        if (value !== undefined && value !== null && value !== '')
            query.set(name, String(value));
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

async function send(path, options, signal) {
    let reply;

    try {
        reply = await fetch(path, {
            ...options,
            headers: { ...options.headers, Authorization: `Bearer ${key}` },
            cache: 'no-store', credentials: 'omit', redirect: 'error',
            referrerPolicy: 'no-referrer', signal,
        });
    } catch (error) {
        if (error.name === 'AbortError')
            throw error;
        throw new Failure(0, 'The collector does not answer.');
    }
    let body = null;
    try {
        body = await reply.json();
    } catch (error) {
        if (error.name === 'AbortError')
            throw error;
    }
    if (!reply.ok)
        throw new Failure(reply.status, body && typeof body.error === 'string'
            ? body.error : `The collector answered ${reply.status}.`);
    if (body === null)
        throw new Failure(0, 'The answer was cut off.');
    return body;
}

export function get(path, parameters, signal) {
    return send(address(path, parameters), { method: 'GET' }, signal);
}

export function post(path, value) {
    return send(path, { method: 'POST', body: JSON.stringify(value),
        headers: { 'Content-Type': 'application/json' } });
}
