/*
 * dom - makes elements. Whatever comes from an event goes in as a text node or
 * as the value of a harmless property, never as markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, properties, children) {
    for (const [name, value] of Object.entries(properties || {})) {
        if (value === null || value === undefined || value === false)
            continue;
        if (name === 'on')
            for (const [event, call] of Object.entries(value))
                node.addEventListener(event, call);
        else
            node.setAttribute(name, value === true ? '' : String(value));
    }
    node.append(...children.flat(Infinity).filter(
        (child) => child !== null && child !== undefined && child !== false));
    return node;
}

/* el('a', {href: '#/'}, 'text', node, null): text and nodes are children. */
export function el(tag, properties, ...children) {
    return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
    return fill(document.createElementNS(SVG, tag), properties, children);
}

/* The icons: strokes on a 24 by 24 field. */
const paths = {
    up: 'M7 11v9H4v-9zM7 11l4-8c1.6 0 2.6 1.2 2.3 2.8L12.6 9.5H19' +
        'a2 2 0 0 1 2 2.3l-1.1 6.5a2 2 0 0 1-2 1.7H7',
    back: 'M15 5l-7 7 7 7',
};

export function icon(name, kind) {
    return svg('svg', { 'class': kind ? `icon ${kind}` : 'icon',
        viewBox: '0 0 24 24', width: 18, height: 18, 'aria-hidden': 'true' },
    svg('path', { d: paths[name] }));
}

/*
 * Brings the children of `parent` in line with `items`, keeping the nodes of
 * those that did not change, so that focus, selection and scrolling stay. A
 * node with an open form is left alone: someone may be writing there. key(item) names an item, make(item) makes its node.
 */
export function reconcile(parent, items, key, make) {
    const old = new Map();

    for (const node of [...parent.children])
        old.set(node.phosKey, node);
    const nodes = items.map((item) => {
        const name = key(item);
        const state = JSON.stringify(item);
        const found = old.get(name);

        if (found && (found.phosState === state ||
            found.querySelector('form:not([hidden])')))
            return found;
        const node = make(item, found);
        node.phosKey = name;
        node.phosState = state;
        return node;
    });
    const active = document.activeElement;
    const holder = nodes.length > 0 && parent.contains(active)
        ? [...parent.children].find((child) => child.contains(active)) : null;
    let place = parent.firstChild;

    for (const node of nodes) {
        if (node === place)
            place = place.nextSibling;
        else
            parent.insertBefore(node, place);
    }
    while (place) {
        const next = place.nextSibling;
        place.remove();
        place = next;
    }
    if (holder && !holder.isConnected) {
        const heir = nodes.find((node) => node.phosKey === holder.phosKey);
        const mark = active.dataset.focus;

        if (heir)
            (heir.querySelector(`[data-focus="${CSS.escape(mark || '')}"]`) ||
             heir.querySelector('a, button') || heir).focus();
    }
}
