"""The model that ships with the package, and where the others come from."""
