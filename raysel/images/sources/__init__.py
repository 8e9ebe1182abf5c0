"""Where images come from, one file per layout: folder, tar, Parquet, table of URIs.

`open_source` finds out which layout is at a URI. Every layout implements the `Source` protocol, so a new
layout is a new file here and a line in `opening`.
"""
