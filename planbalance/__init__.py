"""Split a detection dataset of medical slices into train, val and test without a leak."""
