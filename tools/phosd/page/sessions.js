/*
 * sessions - the list of sessions, the last active first.
 */

import { el } from './dom.js';
import { compact, cost, duration, moment, percent, plural } from './format.js';
import { listView } from './list.js';

export function sessionLink(id) {
    return `#/session/${encodeURIComponent(id)}`;
}

/* Success and failure as a bar, with the words for those who cannot see it. */
export function outcome(session) {
    const judged = session.success_count + session.failure_count;

    if (judged === 0)
        return el('span', { 'class': 'outcome muted' }, 'No feedback');
    return el('span', { 'class': 'outcome', 'data-tone':
        session.failure_count === 0 ? 'good'
            : session.success_count === 0 ? 'bad' : 'mixed' },
    `${percent(session.success_rate)} success`);
}

function row(session) {
    const automatic = session.grouped_by === 'user_id';

    return el('li', {}, el('a', { 'class': 'row',
        href: sessionLink(session.session_id) },
    el('span', { 'class': 'row-main' },
        el('bdi', { 'class': 'row-title' }, session.first_input || '(empty)'),
        el('span', { 'class': 'row-sub muted' },
            plural(session.event_count, 'turn', 'turns'),
            session.duration_ms > 0
                ? ` \u00b7 ${duration(session.duration_ms)}` : '',
            session.user_id === null ? null
                : [' \u00b7 ', el('bdi', {}, session.user_id ||
                    '(empty user)')],
            automatic ? null : [' \u00b7 ', el('bdi', { 'class': 'row-id' },
                session.session_id || '(empty id)')])),
    el('span', { 'class': 'row-figures' },
        el('span', {}, compact(session.token_count_input +
            session.token_count_output), el('small', {}, ' tokens')),
        el('span', {}, cost(session.cost_cents))),
    outcome(session),
    el('time', { 'class': 'row-time muted', datetime: session.ended_at },
        moment(session.ended_at))));
}

export function sessions(view) {
    return listView({ name: 'sessions', title: 'Sessions',
        path: '/api/sessions', key: (session) => session.session_id,
        make: row }, view);
}
