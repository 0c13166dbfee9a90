"""Programs that do one thing to running machines; components run them and never import them."""
