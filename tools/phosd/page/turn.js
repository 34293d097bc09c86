/*
 * turn - one event: what was asked, what was answered, what is known of it,
 * and the two thumbs.
 */

import { post } from './api.js';
import { el, icon } from './dom.js';
import { cost, count, milliseconds, moment } from './format.js';

const TEXT_SHOWN = 3000; /* characters; the rest on demand */

const known = new Set(['model', 'provider', 'user_id', 'latency_ms',
    'token_count_input', 'token_count_output', 'cost_cents', 'tags']);

function longText(text) {
    const body = el('div', { 'class': 'text', dir: 'auto' });

    if (text === '') {
        body.append(el('span', { 'class': 'muted' }, '(empty)'));
        return body;
    }
    if (text.length <= TEXT_SHOWN) {
        body.textContent = text;
        return body;
    }
    body.textContent = text.slice(0, TEXT_SHOWN) + '\u2026';
    const more = el('button', { type: 'button', 'class': 'quiet small',
        on: { click() {
            body.textContent = text;
            more.remove();
        } } }, `Show all ${count(text.length)} characters`);
    return [body, more];
}

function said(who, text) {
    return el('div', { 'class': `said ${who}` },
        el('div', { 'class': 'who' }, who === 'prompt' ? 'Prompt' : 'Answer'),
        longText(text));
}

function chip(text, kind) {
    return el('bdi', { 'class': kind ? `chip ${kind}` : 'chip' }, text);
}

function fact(name, value) {
    return el('span', { 'class': 'fact' }, el('span', { 'class': 'muted' },
        name + '\u00a0'), value);
}

function facts(metadata) {
    const list = [];
    const has = (name) => typeof metadata[name] === 'number';

    if (has('latency_ms'))
        list.push(fact('Latency', milliseconds(metadata.latency_ms)));
    if (has('token_count_input') || has('token_count_output'))
        list.push(fact('Tokens', `${count(metadata.token_count_input)} \u2192 ` +
            count(metadata.token_count_output)));
    if (has('cost_cents'))
        list.push(fact('Cost', cost(metadata.cost_cents)));
    return list;
}

function custom(metadata) {
    const own = Object.entries(metadata).filter(([name]) => !known.has(name));

    if (own.length === 0)
        return null;
    return el('dl', { 'class': 'custom' }, own.map(([name, value]) => [
        el('dt', {}, el('bdi', {}, name)),
        el('dd', {}, el('bdi', {}, typeof value === 'string' ? value
            : JSON.stringify(value)))]));
}

/* The thumbs, and behind them a place for a comment. */
function judge(event) {
    const given = event.feedback || {};
    const status = el('span', { 'class': 'small muted', role: 'status' });
    const input = el('input', { 'class': 'comment-input', maxlength: 2000,
        placeholder: 'Why? (optional)', 'aria-label': 'Comment',
        'data-focus': 'comment' });
    const form = el('form', { 'class': 'comment', hidden: true,
        on: { submit(submitted) {
            submitted.preventDefault();
            give(given.flag, input.value);
        } } }, input, el('button', { type: 'submit' }, 'Save'));
    const buttons = [['success', 'Good answer', 'up', ''],
        ['failure', 'Bad answer', 'up', 'down']].map(
        ([flag, label, name, kind]) => el('button', { type: 'button',
            'class': `thumb ${flag}`, 'aria-label': label, title: label,
            'data-focus': flag, on: { click() {
                give(flag, given.comment || '');
            } } }, icon(name, kind)));
    const remark = el('span', { 'class': 'remark' });

    function show() {
        for (const button of buttons)
            button.setAttribute('aria-pressed',
                String(button.dataset.focus === given.flag));
        remark.replaceChildren();
        if (!given.flag)
            return;
        if (given.flag !== 'success' && given.flag !== 'failure')
            remark.append(chip(given.flag));
        if (given.comment)
            remark.append(el('q', { dir: 'auto' }, given.comment));
        if (given.source)
            remark.append(el('span', { 'class': 'muted small' }, ' by ',
                el('bdi', {}, given.source)));
    }

    async function give(flag, comment) {
        buttons.forEach((button) => button.disabled = true);
        status.textContent = 'Saving\u2026';
        try {
            const body = { event_id: event.event_id, flag, source: 'page' };
            const text = comment.trim();

            if (text)
                body.comment = text;
            await post('/api/feedback', body);
            Object.assign(given, { flag, comment: text || null,
                source: 'page' });
            status.textContent = 'Saved';
            form.hidden = form.contains(document.activeElement);
            input.value = text;
            show();
        } catch (error) {
            status.textContent = `Not saved: ${error.message}`;
        }
        buttons.forEach((button) => button.disabled = false);
        const pressed = buttons.find((button) =>
            button.dataset.focus === flag);
        if (document.activeElement === document.body || form.hidden)
            pressed.focus({ preventScroll: true });
    }

    show();
    return el('div', { 'class': 'judge' },
        el('div', { 'class': 'thumbs', role: 'group',
            'aria-label': 'Feedback' }, buttons), remark, status, form);
}

/* `linked`: with a way to the session, for lists of their own. */
export function turn(event, { linked } = {}) {
    const metadata = event.metadata || {};
    const { model, provider, user_id, tags } = metadata;

    return el('li', {}, el('article', { 'class': 'turn' },
        el('header', { 'class': 'turn-head' },
            el('time', { datetime: event.timestamp, title: event.timestamp },
                moment(event.timestamp, true)),
            model ? chip(model, 'model') : null,
            provider ? chip(provider) : null,
            linked && user_id ? fact('User', el('bdi', {}, user_id)) : null,
            facts(metadata),
            linked && event.session_id
                ? el('a', { 'class': 'to-session', href:
                    `#/session/${encodeURIComponent(event.session_id)}` },
                'Session\u00a0', el('bdi', {}, event.session_id)) : null),
        said('prompt', event.input), said('answer', event.output),
        Array.isArray(tags) && tags.length > 0
            ? el('div', { 'class': 'tags' }, tags.map((tag) =>
                chip(`#${tag}`, 'tag'))) : null,
        custom(metadata), judge(event)));
}
