/*
 * overview - how things go: sums, charts over time, and a table by model.
 */

import { get } from './api.js';
import { chart } from './chart.js';
import { el } from './dom.js';
import { place, ranges } from './filters.js';
import { compact, cost, count, milliseconds, percent, stretch }
    from './format.js';
import { firstSteps, notice, skeleton } from './list.js';
import { live } from './live.js';

const choices = [...ranges.filter(([, , ms]) => ms > 0),
    ['all', 'All time', 0]];

function tile(name, value, more) {
    return el('div', { 'class': 'card tile' }, el('dt', {}, name),
        el('dd', {}, el('span', { 'class': 'figure' }, value),
            el('span', { 'class': 'muted small' }, more)));
}

function tiles(total) {
    const judged = total.success_count + total.failure_count;

    return [
        tile('Events', compact(total.events), 'recorded'),
        tile('Tokens', compact(total.token_count_input +
            total.token_count_output),
        `${compact(total.token_count_input)} in, ` +
            `${compact(total.token_count_output)} out`),
        tile('Cost', cost(total.cost_cents), total.events > 0 &&
            total.cost_cents !== null
            ? `${cost(total.cost_cents / total.events)} an event` : ''),
        tile('Latency', milliseconds(total.latency_ms.p50),
            `median; 95th ${milliseconds(total.latency_ms.p95)}`),
        tile('Success', percent(total.success_rate),
            judged > 0 ? `of ${compact(judged)} judged` : 'no feedback yet'),
    ];
}

function table(stats) {
    const most = Math.max(1, ...stats.models.map((model) => model.events));
    const others = stats.other_models.events > 0
        ? [{ ...stats.other_models, other: true }] : [];
    const right = { 'class': 'right' };

    return el('section', { 'class': 'card models' }, el('h2', {}, 'Models'),
        el('div', { 'class': 'scroll', tabindex: 0, role: 'region',
            'aria-label': 'Models' },
        el('table', {}, el('thead', {}, el('tr', {},
            el('th', { scope: 'col' }, 'Model'),
            ['Events', 'Tokens', 'Cost', 'Median', '95th', 'Success'].map(
                (name) => el('th', { scope: 'col', ...right }, name)))),
        el('tbody', {}, [...stats.models, ...others].map((model) =>
            el('tr', {},
                el('th', { scope: 'row' },
                    model.other ? el('span', { 'class': 'muted' }, 'All others')
                        : model.model === null
                            ? el('span', { 'class': 'muted' }, 'No model')
                            : el('bdi', {}, model.model || '(empty)'),
                    el('progress', { max: most, value: model.events,
                        'aria-hidden': 'true' })),
                el('td', right, count(model.events)),
                el('td', right, compact(model.token_count_input +
                    model.token_count_output)),
                el('td', right, cost(model.cost_cents)),
                el('td', right, milliseconds(model.latency_ms.p50)),
                el('td', right, milliseconds(model.latency_ms.p95)),
                el('td', right, percent(model.success_rate))))))));
}

function show(charts, stats) {
    const { buckets, total } = stats;
    const points = buckets.map((bucket) =>
        stretch(bucket.start, stats.bucket_ms));
    const series = (name, tone, value) =>
        ({ name, tone, values: buckets.map(value) });

    charts.events.show({ kind: 'bars', points, format: compact,
        summary: `${compact(total.events)} in all`,
        series: [series('Events', 'a', (bucket) => bucket.events)] });
    charts.latency.show({ kind: 'lines', points, format: milliseconds,
        summary: `Median ${milliseconds(total.latency_ms.p50)}, ` +
            `99th percentile ${milliseconds(total.latency_ms.p99)}`,
        series: [series('99th', 'c', (bucket) => bucket.latency_ms.p99),
            series('95th', 'b', (bucket) => bucket.latency_ms.p95),
            series('Median', 'a', (bucket) => bucket.latency_ms.p50)] });
    charts.tokens.show({ kind: 'bars', points, format: compact,
        summary: `${compact(total.token_count_input)} in, ` +
            `${compact(total.token_count_output)} out`,
        series: [series('In', 'a', (bucket) => bucket.token_count_input),
            series('Out', 'b', (bucket) => bucket.token_count_output)] });
    charts.cost.show({ kind: 'bars', points, format: cost,
        summary: `${cost(total.cost_cents)} in all`,
        series: [series('Cost', 'a', (bucket) => bucket.cost_cents)] });
    charts.success.show({ kind: 'bars', points, format: compact,
        summary: total.success_rate === null ? 'No feedback yet'
            : `${percent(total.success_rate)} success`,
        series: [series('Success', 'good', (bucket) => bucket.success_count),
            series('Failure', 'bad', (bucket) => bucket.failure_count)] });
}

export function overview({ root, parameters, tell }) {
    let range = parameters.range;
    const select = el('select', { 'aria-label': 'Time' },
        choices.map(([name, text]) => el('option', { value: name }, text)));
    const message = el('div', {}, skeleton(4));
    const sums = el('dl', { 'class': 'tiles' });
    const models = el('div');
    const charts = { events: chart('Events'), latency: chart('Latency'),
        tokens: chart('Tokens'), cost: chart('Cost'),
        success: chart('Feedback') };
    const body = el('div', { hidden: true }, sums, el('div',
        { 'class': 'charts' }, Object.values(charts).map((one) => one.node)),
    models);
    let state = '';

    if (!choices.some(([name]) => name === range))
        range = '';
    root.append(el('div', { 'class': 'head' }, el('h1', {}, 'Overview'),
        select), message, body);

    function ask(name, signal) {
        const [, , ms] = choices.find(([key]) => key === name);
        const now = Date.now();

        return get('/api/stats', ms > 0
            ? { from: new Date(now - ms).toISOString(),
                to: new Date(now + 1000).toISOString() } : {}, signal);
    }

    async function refresh(signal) {
        let stats;

        try {
            stats = await ask(range || '24h', signal);
            /* Nobody chose a time: where a day is empty, all there is. */
            if (!range && stats.total.events === 0) {
                stats = await ask('all', signal);
                range = stats.total.events > 0 ? 'all' : '';
            }
        } catch (error) {
            if (error.name !== 'AbortError')
                message.replaceChildren(notice('No answer',
                    error.message + ' Trying again by itself.'));
            throw error;
        }
        select.value = range || '24h';
        const now = JSON.stringify({ ...stats, from: 0, to: 0 });
        if (now === state && message.dataset.fine)
            return;
        state = now;
        message.dataset.fine = 'yes';
        const empty = stats.total.events === 0;
        message.replaceChildren(...(!empty ? stats.complete ? []
            : [el('p', { 'class': 'muted' }, 'The newest ' +
                `${count(stats.total.events)} events of this time.`)]
            : range ? [notice('Nothing in this time', 'Choose a longer one.')]
                : [firstSteps()]));
        body.hidden = empty;
        sums.replaceChildren(...tiles(stats.total));
        models.replaceChildren(table(stats));
        show(charts, stats);
    }

    select.addEventListener('change', () => {
        range = select.value;
        history.replaceState(null, '', place('overview', { range }));
        updates.again();
    });
    const updates = live(refresh, tell);
    return { stop() {
        updates.stop();
        Object.values(charts).forEach((one) => one.stop());
    } };
}
