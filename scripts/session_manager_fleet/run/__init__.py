"""A run: its folder, its scheduler, and the job done for each target."""
