/*
 * connect - asks for the key.
 */

import { el } from './dom.js';

export function connect(root, why, open) {
    const input = el('input', { id: 'key', name: 'key', type: 'password',
        autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
        required: true, 'aria-describedby': 'key-hint key-error',
        placeholder: 'ph_\u2026' });
    const error = el('p', { id: 'key-error', 'class': 'error',
        role: 'alert' }, why);
    const button = el('button', { type: 'submit', 'class': 'primary' },
        'Open');

    function fail(text) {
        error.textContent = text;
        input.setAttribute('aria-invalid', 'true');
        input.focus();
        input.select();
    }

    async function submit(event) {
        event.preventDefault();
        const key = input.value.trim();

        if (!/^[\x21-\x7e]+$/.test(key)) {
            fail('A key has no blanks and only plain characters.');
            return;
        }
        button.disabled = true;
        button.textContent = 'Opening\u2026';
        error.textContent = '';
        try {
            await open(key);
        } catch (failure) {
            fail(failure.status === 401 ? 'This key is not known here.'
                : failure.message);
        } finally {
            button.disabled = false;
            button.textContent = 'Open';
        }
    }

    root.append(el('form', { 'class': 'connect', on: { submit } },
        el('h1', {}, 'What did your AI answer?'),
        el('p', { 'class': 'muted' },
            'Enter the key of a project to see its sessions.'),
        el('label', { 'for': 'key' }, 'Key'),
        el('div', { 'class': 'connect-row' }, input, button),
        error,
        el('p', { id: 'key-hint', 'class': 'muted small' },
            'It stays in this page\u2019s memory alone and is forgotten when ' +
            'you close or reload it.')));
    input.focus();
}
