// Broken on purpose: each request of items keeps 24 MiB for ever. The memory is outside of JavaScript's heap, so that
// the limit of the slot ends it, not Node's own, and it is written to, for untouched memory is not used memory.
const LEAK_BYTES = 24 * 1024 * 1024;
const kept = [];

function leak(request, response, next) {
  kept.push(Buffer.alloc(LEAK_BYTES, 1));
  next();
}

export default { present: (item) => item, computed: [], before: leak };
