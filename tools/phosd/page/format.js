/*
 * format - numbers and times for people. Missing values are an en dash.
 */

const NONE = '\u2013';
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US',
    { notation: 'compact', maximumFractionDigits: 1 });

function missing(value) {
    return value === null || value === undefined ||
        typeof value !== 'number' || !Number.isFinite(value);
}

export function count(value) {
    return missing(value) ? NONE : whole.format(value);
}

export function compact(value) {
    if (missing(value))
        return NONE;
    return Math.abs(value) < 10000 ? whole.format(value) : short.format(value);
}

/* Cents, and from a hundred of them on in dollars. */
export function cost(cents) {
    if (missing(cents))
        return NONE;
    if (Math.abs(cents) >= 100)
        return '$' + (Math.abs(cents) >= 1e6 ? short.format(cents / 100)
            : (cents / 100).toLocaleString('en-US',
                { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
    return cents.toLocaleString('en-US', { maximumSignificantDigits: 3 }) +
        '\u00a0\u00a2';
}

export function milliseconds(value) {
    if (missing(value))
        return NONE;
    if (Math.abs(value) < 1000)
        return whole.format(value) + '\u00a0ms';
    if (value < 60000)
        return (value / 1000).toFixed(value < 10000 ? 2 : 1) + '\u00a0s';
    return duration(value);
}

export function duration(ms) {
    if (missing(ms))
        return NONE;
    const seconds = Math.round(ms / 1000);

    if (seconds < 60)
        return seconds + '\u00a0s';
    if (seconds < 3600)
        return `${Math.floor(seconds / 60)}\u00a0min ${seconds % 60}\u00a0s`;
    if (seconds < 86400)
        return `${Math.floor(seconds / 3600)}\u00a0h ` +
            `${Math.floor(seconds / 60) % 60}\u00a0min`;
    return whole.format(Math.floor(seconds / 86400)) + '\u00a0d ' +
        `${Math.floor(seconds / 3600) % 24}\u00a0h`;
}

export function percent(share) {
    if (missing(share))
        return NONE;
    return (share * 100).toLocaleString('en-US',
        { maximumFractionDigits: share > 0.99 && share < 1 ? 1 : 0 }) + '%';
}

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayYear = new Intl.DateTimeFormat('en-GB',
    { day: 'numeric', month: 'short', year: 'numeric' });
const clock = new Intl.DateTimeFormat('en-GB',
    { hour: '2-digit', minute: '2-digit' });
const clockSeconds = new Intl.DateTimeFormat('en-GB',
    { hour: '2-digit', minute: '2-digit', second: '2-digit' });

function sameDay(a, b) {
    return a.toDateString() === b.toDateString();
}

/* A moment, as short as it is clear. */
export function moment(iso, seconds) {
    const time = new Date(iso);
    const now = new Date();

    if (Number.isNaN(time.getTime()))
        return NONE;
    const at = (seconds ? clockSeconds : clock).format(time);
    if (sameDay(time, now))
        return at;
    return (time.getFullYear() === now.getFullYear() ? day : dayYear)
        .format(time) + ', ' + at;
}

/* The label of a bucket that is so wide. */
export function stretch(iso, widthMs) {
    const time = new Date(iso);

    if (widthMs >= 86400000)
        return dayYear.format(time);
    return day.format(time) + ' ' +
        (widthMs < 60000 ? clockSeconds : clock).format(time);
}

export function plural(number, one, many) {
    return `${count(number)} ${number === 1 ? one : many}`;
}
