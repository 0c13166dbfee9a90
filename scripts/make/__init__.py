"""What `make up`, `make preview` and `make down` do, step by step, with the time each step took."""
