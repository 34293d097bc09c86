/*
 * filters - the form above a list, and the pages below it. What is chosen
 * stands in the address.
 */

import { el } from './dom.js';
import { count } from './format.js';

export const PAGE = 25;

export const ranges = [
    ['', 'Any time', 0],
    ['1h', 'Last hour', 3600e3],
    ['24h', 'Last 24 hours', 86400e3],
    ['7d', 'Last 7 days', 7 * 86400e3],
    ['30d', 'Last 30 days', 30 * 86400e3],
    ['own', 'From \u2026 to \u2026', 0],
];

/* The address of a view with these parameters. */
export function place(path, parameters) {
    const query = new URLSearchParams();

    for (const [name, value] of Object.entries(parameters))
        if (value !== undefined && value !== '')
            query.set(name, value);
    const text = query.toString();
    return `#/${path}${text ? '?' + text : ''}`;
}

function instant(text) {
    const time = new Date(text || NaN);

    return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

/* What the collector is asked, from what the address says. */
export function question(parameters) {
    const { range, user_id, model, flag, q } = parameters;
    const asked = { user_id, model, flag, q: q && q.trim() };
    const known = ranges.find(([name]) => name === range);

    if (known && known[2] > 0)
        asked.from = new Date(Date.now() - known[2]).toISOString();
    if (range === 'own') {
        asked.from = instant(parameters.from);
        asked.to = instant(parameters.to);
    }
    return asked;
}

export function page(parameters) {
    const number = Number.parseInt(parameters.page, 10);

    return number > 1 && number < 1e9 ? number : 1;
}

export function isFiltered(parameters) {
    return ['range', 'user_id', 'model', 'flag', 'q']
        .some((name) => parameters[name]);
}

function field(label, control, kind) {
    return el('label', { 'class': kind ? `field ${kind}` : 'field' },
        el('span', {}, label), control);
}

function choice(name, options, value) {
    const select = el('select', { name }, options.map(([key, text]) =>
        el('option', { value: key }, text)));

    select.value = options.some(([key]) => key === value) ? value : '';
    return select;
}

function text(name, value, more) {
    const input = el('input', { name, type: 'search', autocomplete: 'off',
        spellcheck: 'false', ...more });

    input.value = value || '';
    return input;
}

/*
 * The form. changed(parameters) is called a moment after typing ends, at once
 * for a choice. models() may be called later with the names there are.
 */
export function filterForm(parameters, changed) {
    const names = el('datalist', { id: 'models' });
    const range = choice('range', ranges, parameters.range);
    const own = el('div', { 'class': 'own' }, ['from', 'to'].map((name) => {
        const input = el('input', { name, type: 'datetime-local' });

        input.value = parameters[name] || '';
        return field(name === 'from' ? 'From' : 'To', input);
    }));
    const form = el('form', { 'class': 'filters', role: 'search',
        'aria-label': 'Filters' },
    field('Text', text('q', parameters.q,
        { placeholder: 'Words in prompts and answers' }), 'wide'),
    field('User', text('user_id', parameters.user_id)),
    field('Model', text('model', parameters.model, { list: 'models' })),
    field('Time', range),
    field('Feedback', choice('flag', [['', 'Any'], ['success', 'Success'],
        ['failure', 'Failure']], parameters.flag)),
    own, names);
    let timer = null;

    function tell() {
        clearTimeout(timer);
        own.hidden = range.value !== 'own';
        const chosen = Object.fromEntries(new FormData(form));
        if (range.value !== 'own')
            delete chosen.from, delete chosen.to;
        changed(chosen);
    }

    own.hidden = range.value !== 'own';
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        tell();
    });
    form.addEventListener('input', (event) => {
        clearTimeout(timer);
        if (event.target.tagName === 'SELECT')
            tell();
        else
            timer = setTimeout(tell, 250);
    });
    return { form, models(list) {
        names.replaceChildren(...list.map((name) => {
            const option = el('option');

            option.value = name;
            return option;
        }));
    } };
}

/* How many there are; what takes long to count is counted in part. */
export function counted({ total, exact }) {
    return count(total) + (exact === false ? '+' : '');
}

/* "1-25 of 300" and the ways on; link(page) makes an address. */
export function pager(number, answer, shown, link, size = PAGE) {
    const { total, exact } = answer;
    const last = Math.max(1, Math.ceil(total / size));
    const first = (number - 1) * size;
    const more = exact === false ? shown === size : number < last;

    if (total <= size && number === 1 && !more)
        return el('div', { 'class': 'pager' });
    return el('nav', { 'class': 'pager', 'aria-label': 'Pages' },
        number > 1 ? el('a', { 'class': 'button', rel: 'prev',
            href: link(number - 1) }, 'Previous') : null,
        el('span', { 'class': 'muted' }, shown > 0
            ? `${count(first + 1)}\u2013${count(first + shown)} of ` +
              counted(answer)
            : `Page ${count(number)} of ${count(last)}` +
              (exact === false ? '+' : '')),
        more ? el('a', { 'class': 'button', rel: 'next',
            href: link(number + 1) }, 'Next') : null);
}
