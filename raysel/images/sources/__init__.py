"""Where images come from, with a module per layout: folder, tar, Parquet, table of URIs.

`open_source` finds out which layout is at a URI. Every layout implements the `Source` protocol, so a new layout is a
new module here and a line in `opening`.
"""
