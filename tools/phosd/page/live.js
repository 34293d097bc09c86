/*
 * live - keeps a view up to date: asks again after a while, later and later
 * while it fails, not at all while nobody looks.
 */

const STEP_MS = 3000;
const STEP_MS_MAX = 60000;

/*
 * Calls refresh(signal) now and again; tell(state, error) hears 'live',
 * 'paused' or 'failing'. Returns { again(), stop() }.
 */
export function live(refresh, tell) {
    let timer = null;
    let failures = 0;
    let abort = null;
    let stopped = false;

    async function turn() {
        clearTimeout(timer);
        timer = null;
        if (abort)
            abort.abort();
        const mine = abort = new AbortController();
        const begun = performance.now();

        try {
            await refresh(mine.signal);
            if (stopped || mine !== abort)
                return;
            failures = 0;
            tell('live');
        } catch (error) {
            if (stopped || mine !== abort || error.name === 'AbortError')
                return;
            failures++;
            tell('failing', error);
        }
        abort = null;
        if (document.hidden) {
            tell('paused');
            return;
        }
        /* What takes the collector long is asked for more seldom, so that a
         * page that is left open never keeps it busy. */
        timer = setTimeout(turn, Math.min(STEP_MS_MAX, Math.max(
            STEP_MS * 2 ** failures, 20 * (performance.now() - begun))));
    }

    function onVisibility() {
        if (document.hidden) {
            clearTimeout(timer);
            timer = null;
            tell('paused');
        } else {
            turn();
        }
    }

    document.addEventListener('visibilitychange', onVisibility);
    turn();
    return {
        again: turn,
        stop() {
            stopped = true;
            clearTimeout(timer);
            if (abort)
                abort.abort();
            document.removeEventListener('visibilitychange', onVisibility);
        },
    };
}
