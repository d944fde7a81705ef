"""The pages of the reference, which are written from the code."""
