"""The lazy frame users compose analyses with."""
