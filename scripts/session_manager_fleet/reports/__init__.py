"""Reports of a run, one module for each format; all of them know nothing but the summary."""
