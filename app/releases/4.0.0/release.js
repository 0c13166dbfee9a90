// Version 4.0.0 changes the data: items have a category, a description is kept as `summary`, and there may be more of
// an item than fits an int. Who knew 1.0.0 to 3.0.0 finds everything where it was.
export default {
  present: (item) => Object.assign(item, { in_stock: (item.quantity ?? 0) > 0, tag_count: item.tags.length }),
  computed: ["in_stock", "tag_count"],
  before: null,
  fields: {
    description: { column: "summary" },
    quantity: { most: Number.MAX_SAFE_INTEGER },
    category: { kind: "text", most: 100, initial: "general" },
  },
};
