"""Tests against a running stack: real load balancers, a real database, real machines stopped and started."""
