// Broken on purpose: each request of items waits 1.5 to 3 s before it is served. In turn, not by chance, so that no
// two runs differ.
const WAITS_MS = [1500, 3000, 2250];
let requests = 0;

function wait(request, response, next) {
  setTimeout(next, WAITS_MS[requests++ % WAITS_MS.length]);
}

export default { present: (item) => item, computed: [], before: wait };
