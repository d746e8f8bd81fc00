"""Output kinds: histograms, columns, cutflows, sums."""
