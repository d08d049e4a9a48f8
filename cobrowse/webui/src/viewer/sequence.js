// Keeps the frames of a picture in order: numbers grow by one within an epoch
// (one page load of the sharer), and a full frame starts anew wherever it comes.

/**
 * @typedef {object} Sequence
 * @property {(frame: {e: number, s: number, k?: string}) => 'open' | 'apply' | 'ignore' | 'gap'} ev what to do with a frame of events
 * @property {(frame: {e: number, s: number}) => 'ignore' | 'gap'} skip a number that needs nothing of us
 * @property {(frame: {e: number, from: number}) => void} sync the next frames rebuild the picture
 * @property {() => void} lose nothing is good until the next full frame
 * @property {() => boolean} whole whether the picture is up to date as far as we know
 * @property {() => number} epoch 0 before the first
 */

/** @returns {Sequence} */
export function makeSequence() {
	let epoch = 0;
	let next = 1;
	let whole = false;

	const gap = () => {
		whole = false;
		return /** @type {const} */ ('gap');
	};

	return {
		epoch: () => epoch,
		whole: () => whole,
		lose() { whole = false; },
		sync(frame) {
			epoch = frame.e;
			next = frame.from;
			whole = false;
		},
		skip(frame) {
			if (!whole || frame.e < epoch || frame.e === epoch && frame.s < next) return 'ignore';
			if (frame.e !== epoch || frame.s !== next) return gap();
			next += 1;
			return 'ignore';
		},
		ev(frame) {
			if (!Number.isSafeInteger(frame.e) || !Number.isSafeInteger(frame.s) || frame.e < epoch) return 'ignore';
			if (frame.k === 'full') {
				if (whole && frame.e === epoch && frame.s < next) return 'ignore';
				epoch = frame.e;
				next = frame.s + 1;
				whole = true;
				return 'open';
			}
			if (!whole || frame.e === epoch && frame.s < next) return 'ignore';
			if (frame.e !== epoch || frame.s !== next) return gap();
			next += 1;
			return 'apply';
		},
	};
}
