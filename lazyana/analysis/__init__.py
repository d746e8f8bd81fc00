"""The declarative layer: a configuration becomes calls on the frame."""
