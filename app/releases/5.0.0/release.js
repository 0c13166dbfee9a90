// Version 5.0.0: items may also have a supplier. The rest of the data is 4.0.0's.
export default {
  present: (item) => Object.assign(item, { in_stock: (item.quantity ?? 0) > 0, tag_count: item.tags.length }),
  computed: ["in_stock", "tag_count"],
  before: null,
  fields: {
    description: { column: "summary" },
    quantity: { most: Number.MAX_SAFE_INTEGER },
    category: { kind: "text", most: 100, initial: "general" },
    supplier: { kind: "text", most: 200 },
  },
};
