// What makes this version differ from the others; a folder in releases/ may replace this file with its own.
//
//   present(item)   the item as this version shows it
//   computed        fields that present() adds: clients may send them back, they are ignored
//   before          Express middleware that runs before every request to /item, or null
export default {
  present: (item) => item,
  computed: [],
  before: null,
};
