/*
 * session - one session: its sums, then its turns in order of time.
 */

import { get } from './api.js';
import { el, icon, reconcile } from './dom.js';
import { page, pager } from './filters.js';
import { cost, count, duration, moment, percent } from './format.js';
import { lastList, notice, skeleton } from './list.js';
import { live } from './live.js';
import { sessionLink } from './sessions.js';
import { turn } from './turn.js';

const TURNS = 50;

function sum(name, value) {
    return el('div', {}, el('dt', {}, name), el('dd', {}, value));
}

function sums(session) {
    return el('dl', { 'class': 'sums' },
        sum('User', el('bdi', {}, session.user_id === null ? '\u2013'
            : session.user_id)),
        sum('Started', moment(session.started_at)),
        sum('Duration', duration(session.duration_ms)),
        sum('Turns', count(session.event_count)),
        sum('Tokens', `${count(session.token_count_input)} \u2192 ` +
            count(session.token_count_output)),
        sum('Cost', cost(session.cost_cents)),
        sum('Success', percent(session.success_rate)));
}

export function session({ root, id, parameters, tell }) {
    const number = page(parameters);
    const title = el('h1', {}, el('bdi', {}, id || '(empty id)'));
    const head = el('div', {});
    const message = el('div', {}, skeleton(4));
    const turns = el('ol', { 'class': 'timeline' });
    const below = el('div');
    let state = '';

    root.append(el('a', { 'class': 'back', href: lastList() }, icon('back'),
        'Sessions'), title, head, message, turns, below);

    async function refresh(signal) {
        let answer;

        try {
            answer = await get(`/api/sessions/${encodeURIComponent(id)}`,
                { limit: TURNS, offset: (number - 1) * TURNS }, signal);
        } catch (error) {
            if (error.name !== 'AbortError') {
                message.replaceChildren(error.status === 404
                    ? notice('There is no such session',
                        'It may have become part of another one.')
                    : notice('No answer', error.message +
                        ' Trying again by itself.'));
                if (error.status === 404) {
                    turns.replaceChildren();
                    head.replaceChildren();
                }
            }
            throw error;
        }
        const { events, ...rest } = answer;
        const now = JSON.stringify(rest);

        message.replaceChildren();
        if (now !== state) {
            head.replaceChildren(sums(rest));
            below.replaceChildren(pager(number, { total: rest.event_count },
                events.length, (to) => `${sessionLink(id)}?page=${to}`,
                TURNS));
        }
        state = now;
        reconcile(turns, events, (event) => event.event_id,
            (event) => turn(event));
    }

    return live(refresh, tell);
}
