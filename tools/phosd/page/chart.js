/*
 * chart - small charts as SVG nodes: bars that stack, or lines. One scale from
 * zero, three quiet lines, a reading that follows pointer and arrow keys.
 */

import { el, svg } from './dom.js';

const HEIGHT = 140;
const LEFT = 4;
const TOP = 18; /* room for the highest label */
const BOTTOM = 20;

/* A number that reads well and is not below `value`. */
function roundUp(value) {
    if (!(value > 0))
        return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    const step = [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value);

    return step * power;
}

function highest(spec) {
    let top = 0;

    spec.points.forEach((point, index) => {
        const values = spec.series.map((series) => series.values[index] || 0);

        top = Math.max(top, spec.kind === 'bars'
            ? values.reduce((sum, value) => sum + value, 0)
            : Math.max(...values));
    });
    return spec.top || roundUp(top);
}

function bars(spec, plot) {
    const gap = Math.min(3, plot.step * 0.25);
    const width = Math.min(28, Math.max(1, plot.step - gap));

    return spec.points.map((point, index) => {
        let below = 0;

        return svg('g', { 'data-index': index }, spec.series.map((series) => {
            const value = series.values[index] || 0;
            const high = plot.y(below + value);
            const height = plot.y(below) - high;

            below += value;
            return height > 0 && svg('rect', { 'class': `fill-${series.tone}`,
                x: plot.x(index) - width / 2, y: high, width, height,
                rx: Math.min(2, width / 3) });
        }));
    });
}

/* A line breaks where nothing is known; what stands alone is a dot. */
function lines(spec, plot) {
    return spec.series.map((series) => {
        let path = '';
        const dots = [];
        const known = (index) => typeof series.values[index] === 'number';

        spec.points.forEach((point, index) => {
            if (!known(index))
                return;
            const at = `${plot.x(index).toFixed(1)} ` +
                plot.y(series.values[index]).toFixed(1);

            path += (known(index - 1) ? 'L' : 'M') + at;
            if (!known(index - 1) && !known(index + 1))
                dots.push(svg('circle', { 'class': `fill-${series.tone}`,
                    cx: plot.x(index), cy: plot.y(series.values[index]),
                    r: 2.5 }));
        });
        return svg('g', {}, svg('path', { 'class': `line-${series.tone}`,
            d: path || 'M0 0' }), dots);
    });
}

function grid(spec, plot, top) {
    return [0, 0.5, 1].map((share) => svg('g', { 'class': 'grid' },
        svg('line', { x1: 0, x2: plot.width, y1: plot.y(top * share),
            y2: plot.y(top * share) }),
        share > 0 && svg('text', { x: plot.width, y: plot.y(top * share) - 3,
            'text-anchor': 'end' }, spec.format(top * share))));
}

function dates(spec, plot) {
    const last = spec.points.length - 1;

    return [svg('text', { 'class': 'date', x: 0, y: HEIGHT - 4 },
        spec.points[0]),
    last > 0 && svg('text', { 'class': 'date', x: plot.width,
        y: HEIGHT - 4, 'text-anchor': 'end' }, spec.points[last])];
}

function draw(spec, width) {
    const top = highest(spec);
    const inner = width - 2 * LEFT;
    const step = inner / spec.points.length;
    const plot = {
        width, step,
        x: (index) => LEFT + step * (index + 0.5),
        y: (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top),
    };

    return { plot, parts: [...grid(spec, plot, top), ...dates(spec, plot),
        ...(spec.kind === 'bars' ? bars : lines)(spec, plot)] };
}

/*
 * spec: { title, kind: 'bars'|'lines', points: [label], format(value),
 * series: [{ name, tone, values }], summary, top }
 */
export function chart(title) {
    const reading = el('p', { 'class': 'reading muted', 'aria-live': 'polite' });
    const legend = el('p', { 'class': 'legend' });
    const picture = svg('svg', { role: 'img', tabindex: 0, height: HEIGHT });
    const box = el('div', { 'class': 'plot' }, picture);
    const node = el('section', { 'class': 'card chart' },
        el('h2', {}, title), reading, box, legend);
    let spec = null;
    let plot = null;
    let marked = -1;
    let cursor = null;

    function read() {
        if (marked < 0 || !spec || marked >= spec.points.length) {
            reading.textContent = spec ? spec.summary : '';
            cursor?.setAttribute('visibility', 'hidden');
            return;
        }
        reading.textContent = `${spec.points[marked]}: ` + spec.series.map(
            (series) => (spec.series.length > 1 ? `${series.name} ` : '') +
                spec.format(series.values[marked])).join(', ');
        cursor.setAttribute('visibility', 'visible');
        cursor.setAttribute('x1', plot.x(marked));
        cursor.setAttribute('x2', plot.x(marked));
    }

    function redraw() {
        const width = Math.floor(box.clientWidth);

        if (!spec || width < 10)
            return;
        const drawn = draw(spec, width);

        plot = drawn.plot;
        picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
        picture.setAttribute('aria-label', `${title}. ${spec.summary}. ` +
            'Arrow keys read single values.');
        cursor = svg('line', { 'class': 'cursor', y1: TOP,
            y2: HEIGHT - BOTTOM, visibility: 'hidden' });
        picture.replaceChildren(cursor, ...drawn.parts.filter(Boolean));
        legend.replaceChildren(...(spec.series.length < 2 ? []
            : spec.series.map((series) => el('span', {},
                svg('svg', { width: 8, height: 8, 'aria-hidden': 'true' },
                    svg('circle', { cx: 4, cy: 4, r: 4,
                        'class': `fill-${series.tone}` })), series.name))));
        read();
    }

    picture.addEventListener('pointermove', (event) => {
        if (!plot)
            return;
        const at = event.clientX - picture.getBoundingClientRect().left;

        marked = Math.max(0, Math.min(spec.points.length - 1,
            Math.floor((at - LEFT) / plot.step)));
        read();
    });
    picture.addEventListener('pointerleave', () => {
        marked = -1;
        read();
    });
    picture.addEventListener('blur', () => {
        marked = -1;
        read();
    });
    picture.addEventListener('keydown', (event) => {
        const last = spec ? spec.points.length - 1 : -1;
        const to = { ArrowLeft: marked < 0 ? last : Math.max(0, marked - 1),
            ArrowRight: Math.min(last, marked + 1), Home: 0,
            End: last }[event.key];

        if (to === undefined || last < 0)
            return;
        event.preventDefault();
        marked = to;
        read();
    });
    const observer = new ResizeObserver(redraw);
    observer.observe(box);

    return { node, show(now) {
        spec = now;
        redraw();
    }, stop() {
        observer.disconnect();
    } };
}
