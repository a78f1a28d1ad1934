"""Data: images in memory, their splits and batches, and the sources that they come from."""
