"""Files of events: their formats, what is kept of them, and reading them."""
