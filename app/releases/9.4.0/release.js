// Broken on purpose: every 20th request that came through a load balancer is answered with 500. Smoke checks, which
// ask an instance directly, never see it.
const EVERY = 20;
let forwarded = 0;

function failSometimes(request, response, next) {
  const isForwarded = request.get("X-Forwarded-For") !== undefined;
  const fails = isForwarded && ++forwarded % EVERY === 0;
  next(fails ? new Error("this version is broken on purpose: it fails on 5 % of users' requests") : undefined);
}

export default { present: (item) => item, computed: [], before: failSometimes };
