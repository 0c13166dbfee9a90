// Broken on purpose: every list of items is answered with 500, after the data was changed as for 4.0.0.
function failOnLists(request, response, next) {
  const isList = request.path === "/item" && ["GET", "HEAD"].includes(request.method);
  next(isList ? new Error("this version is broken on purpose: it cannot list") : undefined);
}

export default {
  present: (item) => Object.assign(item, { in_stock: (item.quantity ?? 0) > 0, tag_count: item.tags.length }),
  computed: ["in_stock", "tag_count"],
  before: failOnLists,
  fields: {
    description: { column: "summary" },
    quantity: { most: Number.MAX_SAFE_INTEGER },
    category: { kind: "text", most: 100, initial: "general" },
  },
};
