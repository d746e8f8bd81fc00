"""The embedded sample: events made by a toy generator, written as NanoAOD."""
