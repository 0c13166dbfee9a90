// What makes this version differ from the others; a folder in releases/ may replace this file with its own.
//
//   present(item)   the item as this version shows it. It may add to the item it is given, which nobody else has
//   computed        fields that present() adds: clients may send them back, they are ignored
//   before          Express middleware that runs before every request to /item, or null
//   fields          what differs in the fields of an item, by name: see FIELDS in item.js
//   ignored         fields that an earlier version had: clients may still send them
export default {
  present: (item) => item,
  computed: [],
  before: null,
  fields: {},
  ignored: [],
};
