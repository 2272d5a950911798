"""Where the jobs of a run are executed: threads on this machine, or a Dask cluster."""
