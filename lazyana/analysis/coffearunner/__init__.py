"""Configurations of CoffeaRunner: their dictionaries, translated key by key."""
