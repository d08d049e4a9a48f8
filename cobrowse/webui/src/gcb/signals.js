// The old product's signals: like events, but who comes late hears of what has
// happened already.

/**
 * @typedef {object} Signal
 * @property {(fn: (...args: any[]) => void) => void} add calls fn each time; at once, too, if it has happened
 * @property {(fn: (...args: any[]) => void) => void} addOnce calls fn the next time alone; at once if it has happened
 * @property {(fn: (...args: any[]) => void) => void} remove
 */

/**
 * @param {{all?: boolean}} [how] all: who comes late hears of each time, not of the last one alone
 * @returns {{signal: Signal, fire: (...args: any[]) => void, forget: () => void, heard: () => boolean}}
 */
export function makeSignal({ all = false } = {}) {
	/** @type {{fn: Function, once: boolean}[]} */
	let listeners = [];
	/** @type {any[][]} */
	let past = [];

	// What a handler throws is the page's to know, and no reason to stop for us.
	const call = (fn, args) => {
		try {
			fn(...args);
		} catch (problem) {
			console.error('co-browse: a handler of the page failed', problem);
		}
	};
	const remove = (fn) => { listeners = listeners.filter((l) => l.fn !== fn); };
	const add = (fn, once) => {
		if (typeof fn !== 'function' || listeners.some((l) => l.fn === fn)) return;
		if (!once || !past.length) listeners.push({ fn, once });
		for (const args of [...past]) call(fn, args);
	};
	return {
		signal: Object.freeze({ add: (fn) => add(fn, false), addOnce: (fn) => add(fn, true), remove }),
		fire(...args) {
			past = all ? [...past, args] : [args];
			const now = listeners;
			listeners = listeners.filter((l) => !l.once);
			for (const { fn } of now) call(fn, args);
		},
		/** What has happened does not hold any more. */
		forget() { past = []; },
		heard: () => listeners.length > 0,
	};
}
