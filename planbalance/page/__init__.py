"""The page to review a plan or a dataset: one HTML file that opens without a network."""
