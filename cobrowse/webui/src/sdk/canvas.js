/**
 * @param {{mirror: any, policy: import('./policy.js').Policy, emit: (event: any) => void}} parts
 * @returns {{start(): void, stop(): void, source(el: HTMLCanvasElement): string}}
 */
export function makeCanvases({ mirror, policy, emit }) { throw new Error('not yet'); }
