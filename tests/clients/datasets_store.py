"""Serves all of datasets.py, as the functions that make them; and one that is given as it is."""
import datasets

import lazarr

for name, made in datasets.all_().items():
    lazarr.dataset(name, made)
lazarr.dataset("given/here", datasets.days(), chunks={"time": 5})
