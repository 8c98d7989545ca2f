"""Split a detection data set of medical slices into train, val and test without a leak."""
