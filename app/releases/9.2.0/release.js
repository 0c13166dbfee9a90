// Broken on purpose: every list of items is answered with 500. The service is alive and ready all the same.
function failOnLists(request, response, next) {
  const isList = request.path === "/item" && ["GET", "HEAD"].includes(request.method);
  next(isList ? new Error("this version is broken on purpose: it cannot list") : undefined);
}

export default { present: (item) => item, computed: [], before: failOnLists };
