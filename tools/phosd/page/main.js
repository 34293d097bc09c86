/*
 * main - which view stands on the page: the question for the key, or what the
 * address names behind its #. Filters live there too, so that back, forward
 * and bookmarks work; the key never does.
 */

import { get, hasKey, setKey } from './api.js';
import { el } from './dom.js';
import { connect } from './connect.js';
import { overview } from './overview.js';
import { events } from './events.js';
import { session } from './session.js';
import { sessions } from './sessions.js';

const content = document.getElementById('content');
const nav = document.getElementById('nav');
const state = document.getElementById('state');
const liveText = document.getElementById('live-text');

const views = { overview, sessions, session, events };
let current = null; /* { stop, name } */

/* '#/session/a%20b?page=2' into its parts. */
function parse() {
    const hash = location.hash.startsWith('#/') ? location.hash.slice(2) : '';
    const [path, query] = hash.split('?', 2);
    const [name, id] = path.split('/', 2);
    const parameters = Object.fromEntries(new URLSearchParams(query || ''));

    try {
        return { name: Object.hasOwn(views, name) ? name : 'overview',
            id: decodeURIComponent(id || ''), parameters };
    } catch {
        return { name: 'overview', id: '', parameters };
    }
}

function mark(name) {
    const shown = name === 'session' ? 'sessions' : name;

    for (const link of nav.querySelectorAll('a')) {
        if (link.getAttribute('href') === `#/${shown}`)
            link.setAttribute('aria-current', 'page');
        else
            link.removeAttribute('aria-current');
    }
}

function tell(what, error) {
    const words = { live: 'Live', paused: 'Paused', failing: 'No answer' };

    if (what === 'failing' && error.status === 401) {
        lock('This key is no longer accepted.');
        return;
    }
    if (liveText.textContent !== words[what])
        liveText.textContent = words[what];
    state.dataset.state = what;
}

function stop() {
    if (current)
        current.stop();
    current = null;
}

function show(moved) {
    if (!hasKey())
        return;
    const place = parse();

    stop();
    mark(place.name);
    document.title = `${place.name[0].toUpperCase()}${place.name.slice(1)} \u00b7 phosd`;
    const root = el('div', { 'class': `view ${place.name}` });
    content.replaceChildren(root);
    current = views[place.name]({ root, id: place.id, tell,
        parameters: place.parameters });
    if (moved) {
        window.scrollTo(0, 0);
        content.focus({ preventScroll: true });
    }
}

function lock(why) {
    stop();
    setKey(null);
    nav.hidden = state.hidden = true;
    document.title = 'phosd';
    const root = el('div', { 'class': 'view' });
    content.replaceChildren(root);
    connect(root, why, async (key) => {
        setKey(key);
        try {
            await get('/api/sessions', { limit: 0 });
        } catch (error) {
            setKey(null);
            throw error;
        }
        nav.hidden = state.hidden = false;
        show(true);
    });
}

document.getElementById('lock').addEventListener('click', () => lock(''));
document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); /* the address belongs to the views */
    content.focus();
});
window.addEventListener('hashchange', () => show(true));
lock('');
