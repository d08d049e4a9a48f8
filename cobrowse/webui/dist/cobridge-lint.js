/*! cobridge, Apache-2.0; with parts of others, see LEGAL.txt */
(()=>{function r(n,o){return[]}function t(n,o){}globalThis.Cobridge?.__lint?.(r,t);})();
