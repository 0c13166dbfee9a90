"""One module a kind of stage; each has `act(work)`, which does it and returns a sentence on what it did."""
