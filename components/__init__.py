"""What exists: Pulumi components of Evenkeel, and the order in which they come."""
