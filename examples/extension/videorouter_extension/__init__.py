"""An example of a package that adds to VideoRouter by entry points."""
