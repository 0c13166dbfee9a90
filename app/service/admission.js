// At most so many statements at the database at once; the others wait in line.
//
// Without a limit, a burst sends everything at once, the answers are read one after another, and the last of them
// look like time-outs of a database that was quick.
export class Admission {
  #free;
  #waiting = [];

  constructor(limit) {
    this.#free = limit;
  }

  async run(task) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
