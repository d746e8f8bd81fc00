"""Running a Program over partitions on any dask scheduler."""
