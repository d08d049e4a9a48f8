/**
 * @typedef {object} Recorder
 * @property {() => void} start begins to record: the first send is a full frame
 * @property {() => void} full asks for a full frame as soon as it is allowed (at most one in 2 s); several asks are one
 * @property {() => void} stop ends for good until start is called again
 * @property {() => void} pause nothing is sent any more, what waits is dropped
 * @property {() => void} resume goes on with a full frame
 * @property {(id: number) => Node|null} getNode
 * @property {(node: Node) => number} getId -1 for an unknown node
 */

/**
 * @param {object} parts
 * @param {import('./policy.js').Policy} parts.policy
 * @param {(frame: {k: ''|'full'|'move', events: any[], json: string}) => void} parts.send json is JSON.stringify(events), made once: use it as the frame's b
 * @param {(problem: {code: 'too_large'|'masking'|'error', message: string}) => void} [parts.onError]
 * @param {{fullBytes?: number, evBytes?: number, evPerSecond?: number, evBytesPerSecond?: number}} [parts.limits] of the welcome frame
 * @returns {Recorder}
 */
export function makeRecorder({ policy, send, onError, limits }) { throw new Error('not yet'); }
