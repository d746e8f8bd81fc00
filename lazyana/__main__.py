"""``python -m lazyana`` is the command ``lazyana``."""

from __future__ import annotations

from lazyana.cli.main import main

if __name__ == "__main__":
    main()
