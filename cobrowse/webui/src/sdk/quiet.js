// How our code is entered on the customer's page, which must never see a fault of
// ours; and where the customer is on it.

/**
 * Wraps fn so that nothing it throws, now or in its promise, leaves it.
 * @template {(...args: any[]) => any} F
 * @param {F} fn
 * @returns {F}
 */
export const quiet = (fn) => /** @type {F} */ ((...args) => {
	try {
		const result = fn(...args);
		result?.catch?.(() => {});
		return result;
	} catch { /* ours, not the page's */ }
});

/**
 * Listens for several events, early and without holding the page up.
 * @param {EventTarget} target
 * @param {string} types separated by spaces
 * @param {(event: any) => void} fn
 */
export const listen = (target, types, fn) => {
	for (const type of types.split(' ')) target.addEventListener(type, quiet(fn), { capture: true, passive: true });
};

/** The element with the focus, inside of shadow roots and frames. */
export const focused = () => {
	let el = document.activeElement;
	for (let next; ; el = next) {
		try { next = el?.shadowRoot?.activeElement || el?.contentDocument?.activeElement; } catch { next = null; }
		if (!next) return el;
	}
};
