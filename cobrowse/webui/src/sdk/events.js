// Tells the page what happens. What its handlers throw is its own affair.

const handlers = {};

export const emit = (event, detail) => {
	for (const fn of handlers[event] ?? []) {
		try { fn(detail); } catch { /* see above */ }
	}
};

export const on = (event, fn) => { (handlers[event] ??= []).push(fn); };

export const off = (event, fn) => { handlers[event] = (handlers[event] ?? []).filter((f) => f !== fn); };
