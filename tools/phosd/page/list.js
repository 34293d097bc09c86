/*
 * list - what the lists of sessions and of events have in common: filters,
 * pages, and the states of having nothing, waiting and failing.
 */

import { get } from './api.js';
import { el, reconcile } from './dom.js';
import { PAGE, counted, filterForm, isFiltered, page, pager, place, question }
    from './filters.js';
import { live } from './live.js';

/* Where the way back from a session leads: the list as it was left. */
let left = '#/sessions';

export function lastList() {
    return left;
}

export function notice(title, text, ...more) {
    return el('div', { 'class': 'notice' }, el('h2', {}, title),
        text ? el('p', { 'class': 'muted' }, text) : null, more);
}

/* Grey bars where rows will be. */
export function skeleton(rows) {
    return el('div', { 'class': 'skeleton', role: 'status',
        'aria-label': 'Loading' },
    Array.from({ length: rows }, () => el('div')));
}

export function firstSteps() {
    return notice('Nothing has arrived yet',
        'Send a first event with this key, for example:',
        el('pre', {}, el('code', {},
            `curl ${location.origin}/api/ingest \\\n` +
            '  -H "Authorization: Bearer $PHOSPHO_API_KEY" \\\n' +
            '  -H "Content-Type: application/json" \\\n' +
            '  -d \'{"input": "How tall is K2?", "output": "8,611 m.", ' +
            '"session_id": "first"}\'')),
        el('p', { 'class': 'muted' }, 'It appears here by itself.'));
}

/* What an empty list without filters means. */
async function nothing(kind, signal) {
    if (kind.name === 'sessions' &&
        (await get('/api/events', { limit: 0 }, signal)).total > 0)
        return notice('No sessions yet', 'What has arrived tells neither a ' +
            'session_id nor a user_id, so that no events belong together.',
        el('p', {}, el('a', { 'class': 'button', href: '#/events' },
            'See the events')));
    return firstSteps();
}

/*
 * kind: { name, title, path, key(item), make(item, old) }; the answer holds
 * its items under `name`.
 */
export function listView(kind, { root, parameters, tell }) {
    let chosen = parameters;
    const total = el('span', { 'class': 'total muted', role: 'status' });
    const items = el('ol', { 'class': `items ${kind.name}` });
    const below = el('div');
    const message = el('div', {}, skeleton(6));
    const filters = filterForm(parameters, (now) => {
        chosen = now;
        history.replaceState(null, '', place(kind.name, chosen));
        items.setAttribute('aria-busy', 'true');
        updates.again();
    });
    let pages = '';

    root.append(el('div', { 'class': 'head' }, el('h1', {}, kind.title),
        total), filters.form, message, items, below);

    async function refresh(signal) {
        const number = page(chosen);
        let answer;

        if (kind.name === 'sessions')
            left = place(kind.name, chosen);
        try {
            answer = await get(kind.path, { ...question(chosen), limit: PAGE,
                offset: (number - 1) * PAGE }, signal);
        } catch (error) {
            if (error.name !== 'AbortError')
                failed(error);
            throw error;
        }
        const found = answer[kind.name];
        const empty = answer.total === 0 && !isFiltered(chosen)
            ? await nothing(kind, signal) : null;
        items.removeAttribute('aria-busy');
        total.textContent = counted(answer);
        message.replaceChildren(...(found.length > 0 ? []
            : [answer.total > 0 ? notice('This page is empty', '')
                : empty || notice(`No ${kind.name} match`,
                    'Try fewer filters or a longer time.')]));
        reconcile(items, found, kind.key, kind.make);
        const now = `${number} ${counted(answer)} ${found.length}`;
        if (now !== pages)
            below.replaceChildren(pager(number, answer, found.length,
                (to) => place(kind.name, { ...chosen, page: to })));
        pages = now;
    }

    function failed(error) {
        items.removeAttribute('aria-busy');
        if (error.status === 400) {
            items.replaceChildren();
            below.replaceChildren();
            total.textContent = '';
            pages = '';
        }
        message.replaceChildren(notice(error.status === 400
            ? 'That cannot be searched for' : 'No answer',
        error.message + (error.status === 400 ? ''
            : ' Trying again by itself.')));
    }

    const updates = live(refresh, tell);

    get('/api/stats').then((stats) => filters.models(stats.models
        .map((model) => model.model).filter(Boolean)), () => {});
    return updates;
}
