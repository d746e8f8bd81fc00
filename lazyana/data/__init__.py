"""Files in, partitions out: filesets, inspection, reading, the toy sample."""
