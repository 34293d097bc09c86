/*
 * events - every event, newest first, those without a session too.
 */

import { listView } from './list.js';
import { turn } from './turn.js';

export function events(view) {
    return listView({ name: 'events', title: 'Events', path: '/api/events',
        key: (event) => event.event_id,
        make: (event) => turn(event, { linked: true }) }, view);
}
